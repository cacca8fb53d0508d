"""Second factors: codes of an authenticator app, each good once, and recovery codes for the day it is lost."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from tradewright.errors import Conflict, NotFound
from tradewright.storage import factors
from tradewright.storage.database import Tx
from tradewright.storage.vault import Vault

_STEP_S = 30
_AROUND = (0, -1, 1)  # steps by which a phone's clock may differ
_CODES = 10
_ISSUER = "Tradewright"


def ways(tx: Tx, user: str) -> list[str]:
    """Return how this person can prove more than a password: `code`, `passkey`; empty without a second factor."""
    found = []
    authenticator = factors.get_authenticator(tx, user)
    if authenticator is not None and authenticator["confirmed_at"] is not None:
        found.append("code")
    if factors.count_passkeys(tx, user):
        found.append("passkey")
    return found


def enrol(tx: Tx, vault: Vault, user: str, email: str, now_us: int) -> tuple[str, str]:
    """Store a new secret and return it, and the address an app reads it from. Its codes count once confirmed.

    Raises Conflict when there is one that was confirmed.
    """
    import pyotp

    known = factors.get_authenticator(tx, user)
    if known is not None and known["confirmed_at"] is not None:
        raise Conflict("codes are on already; turn them off with DELETE /v1/auth/totp before you begin anew")
    secret = pyotp.random_base32()
    factors.put_authenticator(tx, user, vault.seal(secret.encode(), _place(user)), now_us)
    return secret, pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=_ISSUER)


def is_code(tx: Tx, vault: Vault, user: str, code: str, now_us: int, confirmed: bool = True) -> bool:
    """Use up a code of the app; return False when it is wrong or was used. confirmed: False for the very first one."""
    import pyotp

    known = factors.get_authenticator(tx, user)
    if known is None or (known["confirmed_at"] is not None) != confirmed:
        return False
    totp = pyotp.TOTP(vault.open(bytes(known["secret"]), _place(user)).decode())
    present = now_us // 1_000_000 // _STEP_S
    for step in (present + shift for shift in _AROUND):
        if hmac.compare_digest(totp.generate_otp(step).encode(), _digits(code).encode()):
            return factors.use_step(tx, user, step)
    return False


def confirm(tx: Tx, vault: Vault, user: str, code: str, now_us: int) -> bool:
    """Let the codes count; return False when this one is wrong. Raises NotFound when there is nothing to confirm."""
    known = factors.get_authenticator(tx, user)
    if known is None or known["confirmed_at"] is not None:
        raise NotFound("there is nothing to confirm; begin with POST /v1/auth/totp")
    if not is_code(tx, vault, user, code, now_us, confirmed=False):
        return False
    factors.confirm_authenticator(tx, user, now_us)
    return True


def spend(tx: Tx, vault: Vault, user: str, code: str, now_us: int) -> str | None:
    """Use up a code of the app or a recovery code; return which it was, None when it is wrong or was used."""
    if is_code(tx, vault, user, code, now_us):
        return "code"
    if factors.use_recovery_code(tx, user, _recovery_digest(user, code), now_us):
        return "recovery code"
    return None


def make_recovery_codes(tx: Tx, user: str, now_us: int) -> list[str]:
    """Store fresh recovery codes in place of those there were, and return them; only their hashes are kept."""
    codes = [_recovery_code() for _ in range(_CODES)]
    factors.replace_recovery_codes(tx, user, [_recovery_digest(user, code) for code in codes], now_us)
    return codes


def drop_recovery_codes_without_factor(tx: Tx, user: str) -> None:
    """Forget the recovery codes of a person whose last second factor is gone."""
    if not ways(tx, user):
        factors.remove_recovery_codes(tx, user)


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, 16, 4))


def _recovery_digest(user: str, code: str) -> bytes:
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return hashlib.sha256(f"{user}\0{plain}".encode()).digest()


def _digits(code: str) -> str:
    return code.replace(" ", "")


def _place(user: str) -> str:
    return f"authenticators/{user}"
