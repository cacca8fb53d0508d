"""The database and what must share a transaction with the domain: the only floor that knows SQL."""
