"""Ed25519 keys of small order are refused: a signature that anybody can make would be valid for them."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tradewright.accounts.signatures import public_key
from tradewright.errors import InvalidInput

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)
Point = tuple[int, int]


def add(one: Point, other: Point) -> Point:
    (x, y), (u, v) = one, other
    product = D * x * u * y * v % P
    return (x * v + u * y) * pow(1 + product, -1, P) % P, (y * v + x * u) * pow(1 - product, -1, P) % P


def times(factor: int, point: Point) -> Point:
    total: Point = (0, 1)
    while factor:
        if factor & 1:
            total = add(total, point)
        point, factor = add(point, point), factor >> 1
    return total


def points(y: int) -> list[Point]:
    """The points of the curve with this y."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * ROOT % P
    return [(x, y), (-x % P, y)] if (x * x - square) % P == 0 else []


def small() -> set[Point]:
    """The points whose eightfold is nothing: what is left of points when their part of large order is taken away."""
    found: set[Point] = set()
    for y in range(2, 60):
        for point in points(y):
            left = times(ORDER, point)
            found |= {times(k, left) for k in range(8)}
        if len(found) == 8:
            break
    return found


def encodings(y: int) -> list[bytes]:
    """Every way to write a y, with either sign of x, also those that a reader would reduce."""
    fits = [value for value in (y, y + P) if value < 2**255]
    return [(value | sign << 255).to_bytes(32, "little") for value in fits for sign in (0, 1)]


def test_there_are_eight_points_of_small_order_and_none_of_their_spellings_is_taken() -> None:
    found = small()
    assert len(found) == 8
    assert all(times(8, point) == (0, 1) for point in found)
    spellings = {text for _, y in found for text in encodings(y)}
    assert len(spellings) == 14
    for raw in spellings:
        with pytest.raises(InvalidInput, match="small order"):
            public_key(base64.b64encode(raw).decode())


@pytest.mark.parametrize("text", ["01" + "00" * 31, "ec" + "ff" * 30 + "7f", "00" * 32, "ee" + "ff" * 31])
def test_keys_that_were_seen_in_attacks_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="small order"):
        public_key(base64.b64encode(bytes.fromhex(text)).decode())


def test_keys_that_somebody_made_are_taken() -> None:
    for _ in range(20):
        text = base64.b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
        assert public_key(text) == text
