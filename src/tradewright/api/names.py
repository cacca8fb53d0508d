"""What people may call things: what others can see, in one spelling. Pure."""

from __future__ import annotations

import unicodedata
from typing import Any, get_args

NAME = {"text": "name", "words": "a name without line breaks and other controls, and without a space at either end"}
"""`extra` of the type of a name: its values are spelled and looked at as below."""
LONGEST = 1_000
"""Characters, of what is looked at at all: four times those of the longest name, since one may be written as four. To
spell a text takes a time that grows with the square of its length."""
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))  # controls, formats, halves of pairs, ends of lines and paragraphs
_JOINERS = "\u200c\u200d"  # between two letters of some scripts, and two parts of one emoji, they change what is seen
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a sign that are drawn as nothing


def is_name(kind: Any) -> bool:
    """Return whether a declared type is that of a name, whatever else it may be too."""
    extras = [getattr(meta, "extra", None) or {} for meta in getattr(kind, "__metadata__", ())]
    if any(extra.get("text") == NAME["text"] for extra in extras):
        return True
    return any(is_name(part) for part in get_args(kind))


def spelled(name: str) -> str:
    """Return a name in the one spelling that is kept: NFC, as e-mail addresses. It may have LONGEST characters."""
    return unicodedata.normalize("NFC", name)


def refusal(name: str) -> str:
    """Return what is wrong with a name, empty when nothing is."""
    for place, character in enumerate(name):
        if unicodedata.category(character) in _UNSEEN and not _joins(name, place):
            known = unicodedata.name(character, "a control character")
            return f"holds U+{ord(character):04X} ({known}), which nobody can see; leave it out"
    if not any(unicodedata.category(each)[0] not in "CMZ" and each not in _BLANK for each in name):
        return "must hold something that can be seen, a letter, a digit or a sign"
    return ""


def _joins(name: str, place: int) -> bool:
    around = name[place - 1 : place] + name[place + 1 : place + 2]
    return name[place] in _JOINERS and len(around) == 2 and all(unicodedata.category(c)[0] not in "CZ" for c in around)
