"""What portfolios hold, summed from their ledgers without adding up every line anew for every request."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from decimal import Decimal, localcontext

from tradewright.storage import trading
from tradewright.storage.database import Tx
from tradewright.trading import ledger
from tradewright.trading.ledger import Balances, Posting

_KEPT = 1_000
_BEFORE_ALL = -(2**62)


@dataclass(frozen=True, slots=True)
class _Sums:
    until: int  # lines with an earlier time are summed
    lines: int  # how many those are
    sums: tuple[Posting, ...]  # one for each account and currency


_NOTHING = _Sums(_BEFORE_ALL, 0, ())


class BalanceReader:
    """Remembers the sums of the older lines of each ledger.

    A ledger is only ever added to, so the sums hold as long as the number of older lines is the one that was summed;
    it is counted in the transaction that reads the newer lines, and when it differs everything is summed anew.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str, str], _Sums] = OrderedDict()

    def knows(self, organization: str, environment: str, portfolio: str) -> bool:
        """Return whether older lines of this ledger are summed, so that reading it is short."""
        return (organization, environment, portfolio) in self._known

    def read(self, tx: Tx, organization: str, environment: str, portfolio: str, currency: str) -> Balances:
        """Return the balances of a portfolio, as of this transaction."""
        key = (organization, environment, portfolio)
        known = self._known.get(key, _NOTHING)
        if trading.count_postings_before(tx, *key, known.until) != known.lines:
            known = _NOTHING
        rows = trading.postings_from(tx, *key, known.until)
        lines = [(time, Posting(account, currency, amount)) for account, currency, amount, time in rows]
        last = lines[-1][0] if lines else known.until
        older = [posting for time, posting in lines if time < last]
        settled = _Sums(last, known.lines + len(older), _summed([*known.sums, *older]))
        self._known[key] = settled
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return ledger.fold([*settled.sums, *(posting for time, posting in lines if time == last)], currency)


def _summed(postings: list[Posting]) -> tuple[Posting, ...]:
    sums: dict[tuple[str, str], Decimal] = {}
    with localcontext() as context:
        context.prec = 60
        for posting in postings:
            place = (posting.account, posting.currency)
            sums[place] = sums.get(place, Decimal(0)) + posting.amount
    return tuple(Posting(account, currency, amount) for (account, currency), amount in sums.items())
