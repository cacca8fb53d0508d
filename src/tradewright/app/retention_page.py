"""Writes docs/retention.md: python -m tradewright.app.retention_page > docs/retention.md"""

from __future__ import annotations

from tradewright.storage.retention import RULES

_HEAD = """# How long things are kept

Written by `python -m tradewright.app.retention_page > docs/retention.md` from the table that deletes them. Once an
hour, `tradewright up`, `api` and `worker` delete what is older, in small batches.

| what | table | kept | why |
|---|---|---|---|
"""
_REST = """
Everything else stays until somebody deletes it: what a person or organization has is erased with them
(`DELETE /v1/me`, `DELETE /v1/organizations/{id}`).

- API keys stay in the list after they end, because the audit log names them. Their secrets were never stored. Of a
  person who is erased, the keys lose their names and the address and program of their last use; the answers that showed
  them are no longer replayed.
- The audit log and its seals are never deleted, not by an erasure either: they hold ids only. What names a person
  stands in `audit_people` and goes as above, or at once when the person is erased; the chain still holds. So do address
  and program of whoever tried to register or log in with the person's e-mail address. Tries with an address that nobody
  has, before a registration or after an erasure, belong to no person: they go after 400 days.
- What a person named in an organization (the organization, portfolios, broker accounts) is the organization's: it stays
  until that changes or deletes it, in answers kept for replays for 24 hours more.
- Trials stay, also of backtests that were deleted: a count that could be reset would count nothing.
- Rows in quarantine stay until they are released or discarded.
- Signals, orders, fills, postings and the journal are the books.
"""


def page() -> str:
    """Return the page."""
    rows = [f"| {rule.what} | `{rule.table}` | {rule.how_long} | {rule.why} |" for rule in RULES]
    return _HEAD + "\n".join(rows) + "\n" + _REST


if __name__ == "__main__":
    print(page(), end="")
