"""What is handed in as a new passkey: refused in words of ours, whatever the libraries stumble over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from asgi import Client, Person
from seeds_people import session_of
from software_key import PRESENT, SoftwareKey, to_bytes, to_text

INSIDE = ("__cause__", "COSEKey", "object", "b'", "not subscriptable", "Enum", "webauthn", "CBOR")


async def handed_in(served: Any, client: Client, key: SoftwareKey, **changes: Any) -> Any:
    """Register a passkey of the trader, with changes to its attestation object."""
    person = Person(served.database.write(session_of, "usr_trader", served.clock.now_us(), stepped_up=True))
    options = (await client.post("/v1/auth/passkeys/options", None, person=person)).json["options"]
    credential = key.create(options)
    attestation = cbor2.loads(to_bytes(credential["response"]["attestationObject"]))
    credential["response"]["attestationObject"] = to_text(cbor2.dumps({**attestation, **changes}))
    return await client.post("/v1/auth/passkeys", {"credential": credential}, person=person)


def refusal(answer: Any) -> str:
    """The detail of a refusal that says nothing of the libraries."""
    assert (answer.status, answer.json["code"]) == (422, "invalid_input"), answer.body
    detail: str = answer.json["detail"]
    assert not [word for word in INSIDE if word in detail], detail
    return detail


FORMS: list[tuple[Any, Any]] = [
    ("android-safetynet", {"ver": "1", "response": 5}),
    ("android-safetynet", {"ver": "1", "response": b"a.b.c"}),
    ("tpm", {"ver": "2.0", "alg": -257, "sig": b"x", "x5c": [b"x"], "certInfo": b"x", "pubArea": b"\0"}),
    ("fido-u2f", {"sig": b"x", "x5c": [5]}),
    ("apple", {"x5c": [b"zz"]}),
    ("android-key", {"alg": -7, "sig": b"x", "x5c": [b"zz"]}),
    ("packed", {"alg": -7, "sig": b"x", "x5c": [b"zz"]}),
    ("x" * 10_000, {}),
]


def test_an_attestation_that_was_not_asked_for_is_refused_unread(served: Any) -> None:
    async def work(client: Client) -> None:
        for form, statement in FORMS:
            detail = refusal(await handed_in(served, client, SoftwareKey(), fmt=form, attStmt=statement))
            assert f"an attestation of the form '{form[:200]}', and `none` was asked for" in detail

    served.run(work)


BROKEN: list[dict[str, Any]] = [
    {"fmt": 5},
    {"fmt": ["none"]},
    {"attStmt": 5},
    {"fmt": "packed", "attStmt": 5},
    {"fmt": "packed", "attStmt": {"alg": "a", "sig": b"x"}},
    {"fmt": "packed", "attStmt": {"alg": -7, "sig": 5}},
    {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"x"}},
    {"authData": 5},
    {"authData": b""},
    {"authData": "x" * 60},
]


def test_what_the_libraries_stumble_over_is_refused_in_our_words(served: Any) -> None:
    async def work(client: Client) -> None:
        for changes in BROKEN:
            refusal(await handed_in(served, client, SoftwareKey(), **changes))

    served.run(work)


def test_a_passkey_that_vouches_for_itself_is_taken(served: Any) -> None:
    async def work(client: Client) -> None:
        key = SoftwareKey()
        person = Person(served.database.write(session_of, "usr_trader", served.clock.now_us(), stepped_up=True))
        credential = key.create((await client.post("/v1/auth/passkeys/options", None, person=person)).json["options"])
        response = credential["response"]
        data = cbor2.loads(to_bytes(response["attestationObject"]))["authData"]
        signed = data + sha256(to_bytes(response["clientDataJSON"])).digest()
        statement = {"alg": -7, "sig": key.key.sign(signed, ec.ECDSA(hashes.SHA256()))}
        attestation = {"fmt": "packed", "attStmt": statement, "authData": data}
        response["attestationObject"] = to_text(cbor2.dumps(attestation))
        assert (await client.post("/v1/auth/passkeys", {"credential": credential}, person=person)).status == 201

    served.run(work)


def test_a_passkey_of_elsewhere_or_without_a_check_is_told_what_is_wrong(served: Any) -> None:
    async def work(client: Client) -> None:
        made = SoftwareKey()
        detail = refusal(await handed_in(served, client, replace(made, origin="https://evil.example")))
        assert "was made at 'https://evil.example', and this site is " in detail
        detail = refusal(await handed_in(served, client, replace(made, flags=PRESENT)))
        assert "fingerprint, a face or a PIN" in detail
        assert "ask anew" in refusal(await handed_in(served, client, replace(made, site="evil.example")))
        assert (await handed_in(served, client, made)).status == 201

    served.run(work)


def rsa(bits: int) -> dict[int, Any]:
    """An RSA key in its COSE form, of any odd number."""
    return {1: 3, 3: -257, -1: ((1 << (bits - 1)) + 1).to_bytes(bits // 8, "big"), -2: b"\1\0\1"}


def of_curve(x: Any, y: Any, curve: int = 1) -> dict[int, Any]:
    """A key of an elliptic curve in its COSE form."""
    return {1: 2, 3: -7, -1: curve, -2: x, -3: y}


def of_edwards(x: bytes, curve: int = 6) -> dict[int, Any]:
    """A key of Ed25519 in its COSE form."""
    return {1: 1, 3: -8, -1: curve, -2: x}


USELESS: list[Any] = [
    {},
    5,
    {1: 2, 3: -7},
    {1: [1], 3: -7},
    {1: 2, 3: [1]},
    of_curve(b"", b""),
    of_curve(b"x" * 32, b"y" * 32),
    of_curve(5, 5),
    of_curve(b"x" * 32, b"y" * 32, curve=99),
    {**of_edwards(b"\1" * 32), 3: -7},
    {**rsa(2048), 3: -7},
    {**rsa(2048), -1: b"\0"},
    {**rsa(2048), -1: b"\1"},
    {**rsa(2048), -2: b"\1"},
    of_edwards(b"x"),
    of_edwards(b"\1" * 32, curve=4),
]
ANYBODYS = [
    (of_edwards(bytes(32)), "small order"),
    (of_edwards(b"\xee" + b"\xff" * 31), "small order"),
    (rsa(1024), "is one of RSA with 1024 bits; send one with 2048 to 4096"),
    (rsa(16_384), "is one of RSA with 16384 bits; send one with 2048 to 4096"),
]


@dataclass
class Told(SoftwareKey):
    """A passkey that tells another public key than its own."""

    told: Any = None

    def public_key(self) -> bytes:
        return bytes(cbor2.dumps(self.told))


def test_a_passkey_whose_public_key_is_of_no_use_is_refused(served: Any) -> None:
    async def work(client: Client) -> None:
        for told in USELESS:
            refusal(await handed_in(served, client, Told(told=told)))
        detail = refusal(await handed_in(served, client, Told(told=of_curve(b"x" * 32, b"y" * 32))))
        assert "none that a signature could be checked with; send one of ES256, Ed25519 or RS256" in detail

    served.run(work)


def test_a_passkey_that_anybody_could_answer_for_is_refused(served: Any) -> None:
    async def work(client: Client) -> None:
        for told, why in ANYBODYS:
            assert why in refusal(await handed_in(served, client, Told(told=told)))

    served.run(work)


def test_passkeys_of_each_kind_that_is_asked_for_are_taken(served: Any) -> None:
    edwards = Ed25519PrivateKey.generate().public_key().public_bytes_raw()

    async def work(client: Client) -> None:
        for told in (of_edwards(edwards), rsa(2048), rsa(4096)):
            assert (await handed_in(served, client, Told(told=told))).status == 201

    served.run(work)
