"""One strict JSON parser for every door: what it lets through means the same everywhere and can be
stored.

Refused: bodies over their cap, text that is not UTF-8, more than 16 levels, more than 200 keys in
an object, a key twice, strings over their cap, NUL, half a surrogate pair, NaN and infinities, and
integers beyond 64 bits. A small body is read by msgspec, which is lax, and taken when counting
shows that nothing was lost: it then holds as many strings as its text has pairs of quotes. Every
other body, and every refusal, is the careful parser's. Both say the same of the same bytes; a test
holds them together.
"""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, TypeVar, cast

import msgspec

from experiments.core.errors import InvalidInput, TooLarge
from experiments.core.types import JSON
from experiments.core.units import Unfit

MAX_DEPTH = 16
MAX_KEYS = 200
MAX_STRING = 8 * 1024
MAX_DOCUMENT_STRING = 256 * 1024
"""For variant configs and PRDs."""
ONE_BODY = 32 * 1024
BATCH_BODY = 1024 * 1024
BATCH_ITEMS = 1000
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1

_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""Strings; one that nobody closed reaches to the end. Each byte is looked at once: nothing here
backtracks.
"""
_BRACKETS = re.compile(rb"[\[\]{}]")
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{19}")
_LARGE_EXPONENT = re.compile(rb"[0-9.][eE]\+?[0-9]{3}|(?<![0-9])[0-9]{300}")
_SUSPECT_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_AT, _KEY_IN, _ROOT = " - at `", "key in ", "$"
"""How msgspec says where a value does not fit, after what is wrong with it."""

_CAREFULLY = object()
_BEYOND_COUNT = 1 << 40
"""More strings than any body holds."""
_decoder = msgspec.json.Decoder()

T = TypeVar("T")
Place: TypeAlias = "tuple[Place, str | int] | None"
"""Where a value lies: in what, under which name. Written out only for a refusal: paths can be
longer than the body.
"""

Spots: TypeAlias = "Callable[[JSON], Iterator[tuple[dict[str, JSON], Iterable[str]]]]"
"""Of a document: the objects in which single values may be unfit, with the names of those values.
"""


class _Broken:
    """A number that cannot be kept, until it is known whether it stands where that is forgiven."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why


def parse_json(
    body: bytes,
    *,
    max_bytes: int = BATCH_BODY,
    max_depth: int = MAX_DEPTH,
    max_string: int = MAX_STRING,
    forgiving: Spots | None = None,
) -> JSON:
    """The document in a request's body; refuses with the place and what was expected.

    At the ``forgiving`` spots a value that would be refused becomes ``Unfit`` instead, and the rest
    is taken.
    """
    if len(body) > max_bytes:
        raise TooLarge(f"the body has {len(body):,} bytes; at most {max_bytes:,} are taken here")
    found = _quickly(body, max_depth) if len(body) <= max_string else _CAREFULLY
    if found is not _CAREFULLY:
        return cast("JSON", found)
    return (
        _carefully(body, max_depth, max_string)
        if forgiving is None
        else _forgivingly(body, max_depth, max_string, forgiving)
    )


def _quickly(body: bytes, max_depth: int) -> object:
    """The document of a body that cannot offend, or ``_CAREFULLY``; no string in it can be too
    long.
    """
    if body.count(b"[") + body.count(b"{") > max_depth:
        return _CAREFULLY
    quotes = body.count(b'"')
    if b"\\" in body:
        if b"\\\\" in body or _SUSPECT_ESCAPE.search(body):
            return _CAREFULLY
        quotes -= body.count(b'\\"')
    try:
        document = _decoder.decode(body)
    except (msgspec.DecodeError, ValueError):
        return _CAREFULLY
    # A key that came twice took the first one's place, and a string or two are missing.
    return document if 2 * _strings((document,)) == quotes else _CAREFULLY


def _strings(values: Iterable[object]) -> int:
    """How many strings there are in these values, keys included; beyond count when something wants
    a careful look.
    """
    found = 0
    for value in values:
        kind = type(value)
        if kind is str:
            found += 1
        elif isinstance(value, dict):
            found += (
                len(value) + _strings(value.values()) if len(value) <= MAX_KEYS else _BEYOND_COUNT
            )
        elif isinstance(value, list):
            found += _strings(value)
        elif isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
            found += _BEYOND_COUNT
    return found


def _carefully(body: bytes, max_depth: int, max_string: int) -> JSON:
    if not body.strip():
        raise InvalidInput("the body is empty; expected JSON")
    _check_depth(body, max_depth)
    document = _decode(_text(body), _hooks(body))
    if _needs_a_walk(body, max_string):
        _check_strings(document, None, max_string)
    return document


def _forgivingly(body: bytes, max_depth: int, max_string: int, forgiving: Spots) -> JSON:
    """As carefully; but what is wrong with a value at a forgiven spot is said of that value
    alone.
    """
    if not body.strip():
        raise InvalidInput("the body is empty; expected JSON")
    _check_depth(body, max_depth)
    numbers = {"parse_int": _integer, "parse_float": _finite, "parse_constant": _no_constant}
    document = _decode(
        _text(body), _hooks(body) | {hook: _or_broken(read) for hook, read in numbers.items()}
    )
    for values, names in forgiving(document):
        for name in names:
            values[name] = _or_unfit(values[name], max_string)
    _check_strings(document, None, max_string)
    return document


def _or_broken(
    read: Callable[[str], Any],
) -> Callable[[str], Any]:  # Any: whatever JSON value the text stands for
    def tried(text: str) -> Any:  # Any: as above
        try:
            return read(text)
        except InvalidInput as error:
            return _Broken(error.message)

    return tried


def _or_unfit(value: JSON, max_string: int) -> JSON:
    try:
        _check_strings(value, None, max_string)
    except InvalidInput as error:
        return cast("JSON", Unfit(error.message.removeprefix("a string: ")))
    return value


def convert(data: object, wanted: type[T]) -> T:
    """The parsed document as a struct; refuses naming the first field that does not fit."""
    if wanted not in _known:
        _get_to_know(wanted)
    try:
        return msgspec.convert(data, wanted, strict=True)
    except msgspec.ValidationError as error:
        raise _unfit(str(error)) from error


_known: set[object] = set()
_getting_to_know = threading.Lock()


def _get_to_know(wanted: type[T]) -> None:
    """Let msgspec look at a type before anybody uses it: a thread that uses a half-known one ends
    the process.
    """
    with _getting_to_know:
        msgspec.json.Decoder(wanted)
        _known.add(wanted)


def _unfit(message: str) -> InvalidInput:
    what, at, place = message.rpartition(_AT)
    place = place.removeprefix(_KEY_IN)
    if not at or not place.startswith(_ROOT):
        return InvalidInput(f"the body does not fit: {message}")
    path = place.removeprefix(_ROOT).removeprefix(".").removesuffix("`")
    return InvalidInput(f"{path or 'the body'}: {what}", path)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the body is not UTF-8 (byte {error.start})") from error


def _check_depth(body: bytes, max_depth: int) -> None:
    """Count brackets outside strings before parsing, since the parser itself recurses."""
    if body.count(b"[") + body.count(b"{") <= max_depth:
        return
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > max_depth:
            raise InvalidInput(f"the body nests more than {max_depth} levels deep")


def _hooks(body: bytes) -> dict[str, Any]:  # Any: the keyword arguments of json.loads
    hooks: dict[str, Any] = {"object_pairs_hook": _object, "parse_constant": _no_constant}
    if _LONG_NUMBER.search(body):
        hooks["parse_int"] = _integer
    if _LARGE_EXPONENT.search(body):
        hooks["parse_float"] = _finite
    return hooks


def _decode(text: str, hooks: dict[str, Any]) -> JSON:
    try:
        document: JSON = json.loads(text, **hooks)
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    return document


def _object(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    if len(pairs) > MAX_KEYS:
        raise InvalidInput(
            f"an object has {len(pairs)} keys; at most {MAX_KEYS} are taken (it begins with {pairs[0][0][:64]!r})"
        )
    found = dict(pairs)
    if len(found) != len(pairs):
        _name_the_double(pairs)
    return found


def _name_the_double(pairs: list[tuple[str, JSON]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidInput(f"key {name[:64]!r} appears twice in one object", name[:64])
        seen.add(name)


def _no_constant(name: str) -> JSON:
    raise InvalidInput(
        f"{name} is not a number that can be kept; leave the value out when it is not known"
    )


def _integer(digits: str) -> int:
    # The length is looked at first: turning very long digits into an int is refused by Python
    # itself.
    if len(digits) > 20 or not _SMALLEST <= (number := int(digits)) <= _LARGEST:
        raise InvalidInput(
            f"integer {digits[:24]} does not fit 64 bits; send it as a string if it is an id"
        )
    return number


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidInput(f"number {digits[:24]} is beyond what can be kept")
    return number


def _needs_a_walk(body: bytes, max_string: int) -> bool:
    return len(body) > max_string or _SUSPECT_ESCAPE.search(body) is not None


def _check_strings(value: JSON, place: Place, max_string: int) -> None:
    if isinstance(value, str):
        _check_string(value, place, max_string)
    elif isinstance(value, _Broken):
        raise InvalidInput(value.why, _shown(place))
    elif isinstance(value, dict):
        for name, entry in value.items():
            _check_string(name, place, max_string)
            _check_strings(entry, (place, name), max_string)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            if isinstance(entry, str | dict | list | _Broken):
                _check_strings(entry, (place, index), max_string)


def _check_string(text: str, place: Place, max_string: int) -> None:
    if len(text) > max_string or (not text.isascii() and _utf8_length(text, place) > max_string):
        where = _shown(place)
        raise InvalidInput(f"{where or 'a string'}: longer than {max_string:,} bytes", where)
    if "\0" in text:
        where = _shown(place)
        raise InvalidInput(
            f"{where or 'a string'}: holds the character NUL, which cannot be stored", where
        )


def _utf8_length(text: str, place: Place) -> int:
    try:
        return len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        where = _shown(place)
        raise InvalidInput(
            f"{where or 'a string'}: holds half of a surrogate pair (position {error.start})", where
        ) from error


def _shown(place: Place) -> str:
    """A place as a path that is itself fit for an answer, whatever keys the caller invented."""
    names: list[str] = []
    while place is not None:
        place, name = place
        names.append(f"[{name}]" if isinstance(name, int) else f".{name[:200]}")
    path = "".join(reversed(names)).removeprefix(".")
    return path[:200].encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\u0000")
