"""What an arm changes: its configuration beside control's, key by key, texts word by word."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, TypeAlias

from experiments.core.types import JSON

Kind: TypeAlias = Literal["same", "was", "is"]
LONGEST_WORDS = 4_000
"""Words of both texts together that are compared word by word; longer ones are shown as a whole."""
_WORD = re.compile(r"\s+|[^\s]+")


@dataclass(frozen=True)
class TextPiece:
    """A stretch of text: in both, only in control's, only in the arm's."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class ConfigChange:
    """One place of the configuration that differs; ``path`` is empty when the whole value does."""

    path: str
    pieces: tuple[TextPiece, ...]


def arm_changes(control: JSON, arm: JSON) -> tuple[ConfigChange, ...]:
    """Every place where the arm's value is not control's, in the order of keys."""
    return tuple(_differing("", control, arm))


def _differing(path: str, was: JSON, now: JSON) -> Iterator[ConfigChange]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in [*was, *(key for key in now if key not in was)]:
            yield from _one(f"{path}.{key}" if path else str(key), was, now, key)
    elif not _equal(was, now):
        yield ConfigChange(path, _pieces(was, now))


def _one(
    path: str, was: Mapping[str, JSON], now: Mapping[str, JSON], key: str
) -> Iterator[ConfigChange]:
    if key not in now:
        yield ConfigChange(path, (TextPiece("was", _text(was[key])),))
    elif key not in was:
        yield ConfigChange(path, (TextPiece("is", _text(now[key])),))
    else:
        yield from _differing(path, was[key], now[key])


def _equal(was: JSON, now: JSON) -> bool:
    """As JSON: true is not 1."""
    return json.dumps(was, sort_keys=True) == json.dumps(now, sort_keys=True)


def _pieces(was: JSON, now: JSON) -> tuple[TextPiece, ...]:
    if not (isinstance(was, str) and isinstance(now, str)):
        return (TextPiece("was", _text(was)), TextPiece("is", _text(now)))
    old, new = _WORD.findall(was), _WORD.findall(now)
    if len(old) + len(new) > LONGEST_WORDS:
        return (TextPiece("was", was), TextPiece("is", now))
    found: list[TextPiece] = []
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(TextPiece("same", "".join(old[a:b])))
            continue
        found += [TextPiece("was", "".join(old[a:b]))] if b > a else []
        found += [TextPiece("is", "".join(new[c:d]))] if d > c else []
    return tuple(found)


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
