"""May this caller call this operation? Pure, and asked in one place for every operation."""

from __future__ import annotations

from tradewright.accounts.principal import ROLES, Principal
from tradewright.api.operations import PUBLIC, UNSCOPED, Operation
from tradewright.api.problems import Refused
from tradewright.errors import Forbidden


def authorize(operation: Operation, principal: Principal, now_us: int) -> None:
    """Return when the caller may. Raises Forbidden and Refused, naming what is missing."""
    if operation.scope == PUBLIC:
        return
    if operation.sessions_only and principal.session is None:
        raise Forbidden("this is for persons, not for API keys: log in with POST /v1/auth/login.")
    if operation.scope not in UNSCOPED:
        _authorize_in_organization(operation, principal)
    if operation.step_up is True:
        require_step_up(principal, now_us)


def _authorize_in_organization(operation: Operation, principal: Principal) -> None:
    if principal.session is not None and not principal.organization:
        raise Refused(
            "malformed_header",
            "name the organization and the environment in the headers Tradewright-Organization and "
            "Tradewright-Environment; GET /v1/organizations lists yours",
        )
    if operation.scope not in principal.scopes:
        holder, instead = (
            (f"the role {principal.role}", "ask an owner or admin of the organization for another role")
            if principal.session
            else ("this key", "use one that does")
        )
        raise Forbidden(f"{holder} does not hold the scope {operation.scope}; {instead}", scope=operation.scope)
    if operation.roles and principal.session is not None and principal.role not in operation.roles:
        raise Forbidden(
            f"this needs the role {' or '.join(operation.roles)}; yours is {principal.role}; ask somebody who has it"
        )
    if operation.roles and principal.session is None:
        raise Forbidden("this is for persons, not for API keys: log in with POST /v1/auth/login.")


def require_step_up(principal: Principal, now_us: int) -> None:
    """Return when the caller is a person who was just asked again. Raises Refused."""
    if principal.session is None:
        raise Forbidden("this is for persons, not for API keys: log in with POST /v1/auth/login.")
    if principal.stepped_up_until <= now_us:
        raise Refused(
            "step_up_required", "this needs you to prove again who you are: POST /v1/auth/step-up, then send it again."
        )


def allowed_roles(operation: Operation) -> tuple[str, ...]:
    """Return the roles whose persons may call it, most powerful first; empty for those without a scope."""
    if operation.scope in UNSCOPED:
        return ()
    return operation.roles or tuple(role for role, scopes in ROLES.items() if operation.scope in scopes)
