"""Secrets are compared in constant time, wherever the package compares them itself."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import tradewright

PACKAGE = Path(tradewright.__file__).parent
SECRET = re.compile(r"csrf|secret|signature|checksum|digest|token|hmac|password")
ROOMS = ("accounts", "api")


def names(side: ast.expr) -> set[str]:
    """What a side of a comparison is called: its last name, and the functions and texts that it is made of."""
    found = {node.func.id for node in ast.walk(side) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    found |= {node.value for node in ast.walk(side) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    while isinstance(side, ast.Call | ast.Subscript):
        side = side.func if isinstance(side, ast.Call) else side.value
    if isinstance(side, ast.Name | ast.Attribute):
        found.add(side.id if isinstance(side, ast.Name) else side.attr)
    return found


def compared(path: Path) -> list[str]:
    """The comparisons by `==` and `!=` of something whose name says that it is a secret."""
    plain = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
    ]
    named = {node: {name for side in (node.left, *node.comparators) for name in names(side)} for node in plain}
    return [ast.unparse(node) for node in plain if any(SECRET.search(name) for name in named[node])]


def test_secrets_are_compared_in_constant_time() -> None:
    files = [path for room in ROOMS for path in sorted((PACKAGE / room).rglob("*.py"))]
    assert len(files) > 50
    found = [line for path in files for line in compared(path)]
    # whether a password changed while it was checked: two stored hashes, neither of them from the caller
    assert found == ["current['password_hash'] != proved.password_hash"] * 2


def test_a_plain_comparison_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text('headers.get("x-csrf") == y\nx != csrf_token(a).encode()\nrow.secret == x\na.token() == b\n')
    assert len(compared(path)) == 4
