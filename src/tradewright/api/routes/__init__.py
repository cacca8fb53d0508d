"""One module for each resource; each declares `OPERATIONS`."""

from __future__ import annotations

from tradewright.api.operations import Operation
from tradewright.api.routes import limits
from tradewright.api.routes.api_keys import OPERATIONS as API_KEYS
from tradewright.api.routes.audit import OPERATIONS as AUDIT
from tradewright.api.routes.auth import OPERATIONS as AUTH
from tradewright.api.routes.backtests import OPERATIONS as BACKTESTS
from tradewright.api.routes.broker_accounts import OPERATIONS as BROKER_ACCOUNTS
from tradewright.api.routes.events import OPERATIONS as EVENTS
from tradewright.api.routes.exports import OPERATIONS as EXPORTS
from tradewright.api.routes.factors import OPERATIONS as FACTORS
from tradewright.api.routes.facts import OPERATIONS as FACTS
from tradewright.api.routes.holdings import OPERATIONS as HOLDINGS
from tradewright.api.routes.ingestion_schedules import OPERATIONS as INGESTION_SCHEDULES
from tradewright.api.routes.ingestions import OPERATIONS as INGESTIONS
from tradewright.api.routes.instruments import OPERATIONS as INSTRUMENTS
from tradewright.api.routes.market import OPERATIONS as MARKET
from tradewright.api.routes.me import OPERATIONS as ME
from tradewright.api.routes.models import OPERATIONS as MODELS
from tradewright.api.routes.orders import OPERATIONS as ORDERS
from tradewright.api.routes.organizations import OPERATIONS as ORGANIZATIONS
from tradewright.api.routes.performance import OPERATIONS as PERFORMANCE
from tradewright.api.routes.portfolios import OPERATIONS as PORTFOLIOS
from tradewright.api.routes.quarantine import OPERATIONS as QUARANTINE
from tradewright.api.routes.research import OPERATIONS as RESEARCH
from tradewright.api.routes.sessions import OPERATIONS as SESSIONS
from tradewright.api.routes.signals import OPERATIONS as SIGNALS
from tradewright.api.routes.source_credentials import OPERATIONS as SOURCE_CREDENTIALS
from tradewright.api.routes.sources import OPERATIONS as SOURCES
from tradewright.api.routes.system import OPERATIONS as SYSTEM
from tradewright.api.routes.trials import OPERATIONS as TRIALS
from tradewright.api.routes.verdicts import OPERATIONS as VERDICTS


def all_operations() -> list[Operation]:
    """Return every operation of the API, in the order of the reference."""
    found = [
        *SYSTEM, *INSTRUMENTS, *MARKET, *VERDICTS, *FACTS, *SOURCES, *SOURCE_CREDENTIALS, *INGESTIONS,
        *INGESTION_SCHEDULES, *QUARANTINE, *SIGNALS, *MODELS, *RESEARCH, *BACKTESTS, *TRIALS, *BROKER_ACCOUNTS,
        *PORTFOLIOS, *HOLDINGS, *PERFORMANCE, *ORDERS, *EVENTS, *API_KEYS, *AUDIT,
    ]  # fmt: skip
    found += [*AUTH, *SESSIONS, *FACTORS, *ME, *ORGANIZATIONS, *EXPORTS]
    return [*found, *limits.operations(found)]
