"""What is handed in as a new passkey: refused in words of ours, whatever the libraries stumble over."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

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
