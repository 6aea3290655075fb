"""What the one parser lets through, and what it says of the rest."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from config.processes.embedded.place import PROJECT
from experiments.core.errors import InvalidInput, TooLarge
from experiments.http import parsing
from experiments.http.parsing import MAX_DEPTH, MAX_STRING, convert, parse_json


class Inner(msgspec.Struct):
    units: dict[str, str]


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    batch: list[Inner]


BAD = {
    "empty": (b"  ", "empty"),
    "not_json": (b'{"a": ', "not JSON"),
    "trailing": (b'{"a": 1} x', "not JSON"),
    "not_utf8": (b'{"a": "\xff"}', "UTF-8"),
    "double_key": (b'{"a": 1, "b": {"c": 1, "c": 2}}', "'c' appears twice"),
    "nan": (b'{"a": NaN}', "NaN"),
    "infinity": (b'{"a": -Infinity}', "-Infinity"),
    "overflowing_float": (b'{"a": 1e999}', "beyond"),
    "overflowing_digits": (b'{"a": ' + b"9" * 400 + b".0}", "beyond"),
    "large_integer": (b'{"a": 9223372036854775808}', "64 bits"),
    "huge_integer": (b'{"a": ' + b"1" * 6000 + b"}", "64 bits"),
    "nul_escaped": (b'{"a": ["x\\u0000"]}', "a[0]: holds the character NUL"),
    "nul_in_key": (b'{"\\u0000": 1}', "NUL"),
    "nul_raw": (b'{"a": "\x00"}', "not JSON"),
    "lone_surrogate": (b'{"a": {"b": "\\ud83d"}}', "a.b: holds half of a surrogate pair"),
    "long_string": (json.dumps({"a": "x" * 8193}).encode(), "a: longer than 8,192 bytes"),
    "long_in_bytes": (json.dumps({"a": "ж" * 4097}).encode(), "a: longer than 8,192 bytes"),
    "many_keys": (json.dumps({str(i): i for i in range(201)}).encode(), "201 keys"),
    "deep": (b"[" * 17 + b"]" * 17, "16 levels"),
    "very_deep": (b"[" * 100_000, "16 levels"),
}


@pytest.mark.parametrize(("body", "said"), BAD.values(), ids=BAD.keys())
def test_parse_json__what_cannot_be_kept__is_refused_by_name(body: bytes, said: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse_json(body)
    assert said in refusal.value.message


GOOD = {
    "largest_integers": {"a": [9223372036854775807, -9223372036854775808]},
    "sixteen_levels": json.loads("[" * 16 + "]" * 16),
    "brackets_in_strings": {"a": "[" * 500 + '"{'},
    "surrogate_pair": {"a": "😀"},
    "just_long_enough": {"a": "x" * 8192, "b": 1},
    "backslash_u_as_text": {"a": "\\u0000"},
    "numbers": {"a": 1e300, "b": -0.5, "c": 1e-400},
    "two_hundred_keys": {str(i): i for i in range(200)},
}


@pytest.mark.parametrize("document", GOOD.values(), ids=GOOD.keys())
def test_parse_json__what_can_be_kept__comes_through_unchanged(document: object) -> None:
    assert parse_json(json.dumps(document).encode()) == document
    assert parse_json(json.dumps(document, ensure_ascii=False).encode()) == document


def test_parse_json__over_the_cap__is_too_large() -> None:
    with pytest.raises(TooLarge, match="at most 10"):
        parse_json(b'{"a": "bcdef"}', max_bytes=10)


def test_parse_json__long_texts__pass_where_documents_are_taken() -> None:
    assert parse_json(json.dumps({"prd_text": "x" * 200_000}).encode(), max_string=256 * 1024)


def test_convert__field_of_another_type__names_its_place() -> None:
    with pytest.raises(InvalidInput) as refusal:
        convert({"batch": [{"units": {"user": 5}}]}, Outer)
    assert refusal.value.field == "batch[0].units[...]"
    with pytest.raises(InvalidInput, match="unknown field `bacth`"):
        convert({"bacth": []}, Outer)


# ---------------------------------------------------------------- time in proportion to length

GROWING = {
    "unclosed_string_of_quotes": lambda n: (
        b'{"context":{"targetingKey":"u","a":' + b"[" * 17 + b'"' + b'\\"' * (n // 2)
    ),
    "escaped_quotes_outside": lambda n: b"[" * 17 + b'\\"' * (n // 2),
    "backslashes": lambda n: b"[" * 17 + b'"' + b"\\" * n,
    "empty_strings": lambda n: b"[" * 17 + b'"' * n,
    "closed_strings": lambda n: b"[" * 17 + b'"\\"",' * (n // 5),
    "runs_of_digits": lambda n: b"[" * 17 + (b"9" * 299 + b"a") * (n // 300),
    "long_number": lambda n: b"[" * 17 + b"9" * n,
    "long_paths": lambda n: (
        (b'{"' + b"k" * (n // 12) + b'":') * 8 + b"[" + b'"",' * (n // 12) + b'""]' + b"}" * 8
    ),
    "long_field_name": lambda n: b'{"' + b" - at `$" * (n // 8) + b'": 1}',
    "objects": lambda n: b"[" + b'{"a":1},' * (n // 8) + b"{}]",
    "doubled_keys": lambda n: b"{" + b'"a":1,' * (n // 6) + b'"a":1}',
}


def _read_or_refused(body: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        convert(parse_json(body, max_bytes=1 << 30, max_string=1 << 30), Outer)


@pytest.mark.parametrize("shape", GROWING.values(), ids=GROWING.keys())
def test_parse_json__a_body_eight_times_as_long__takes_no_more_than_in_proportion(
    shape: Callable[[int], bytes],
) -> None:
    _read_or_refused(shape(20_000))
    short = min(seconds(lambda: _read_or_refused(shape(20_000))) for _ in range(5))
    long = min(seconds(lambda: _read_or_refused(shape(160_000))) for _ in range(3))
    assert long < 24 * max(short, 0.0002), f"{long / short:.0f} times as long for 8 times as much"


def seconds(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


# ---------------------------------------------------------------- the quick way and the careful way

TEXTS = st.sampled_from(
    ["a", "b", "", "ж", "😀", '"', "\\", '\\"', "\x00", "\ud83d", "\n", "/", "[{"]
) | st.text(max_size=5)
NUMBERS = st.sampled_from(
    [
        "0",
        "-0",
        "-0.0",
        "1e5",
        "1E+2",
        "1.5",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "1e400",
        "9" * 30,
    ]
)
WORDS = st.sampled_from(["true", "false", "null", "NaN", "-Infinity", "01", "1.", "+1", "x"])
SPACE = st.sampled_from(["", " ", "\n", "\t", "\x0c"])


def written(text: str, escaped: bool) -> str:
    return json.dumps(text, ensure_ascii=escaped)


STRINGS = st.builds(written, TEXTS, st.booleans())


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Objects as text, in which a key may come twice."""
    pairs = st.lists(
        st.builds(lambda key, value, space: f"{key}{space}:{value}", STRINGS, values, SPACE),
        max_size=4,
    )
    return pairs.map(lambda several: "{" + ",".join(several) + "}")


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=4).map(lambda several: "[" + ", ".join(several) + "]")


DOCUMENTS = st.recursive(
    STRINGS | NUMBERS | WORDS, lambda inner: objects(inner) | arrays(inner), max_leaves=8
)
PIECES = st.lists(
    st.sampled_from(
        [
            *'{}[],:"\\',
            '\\"',
            "\\u0041",
            "\\ud83d",
            '"a"',
            '"b":',
            "1",
            "-0",
            "1e5",
            "null",
            " ",
            "ж",
            "\x00",
        ]
    ),
    max_size=14,
).map("".join)


@hypothesis_settings(max_examples=400)
@given(st.builds(lambda space, text: space + text, SPACE, DOCUMENTS) | PIECES)
@example('{"a": 1, "a": 2}')
@example('{"a": {"b": "x"}, "a": ["b", "x"]}')
@example('{"a\\"": 1, "a\\"": 2}')
@example('{"\\u0061": 1, "a": 2}')
def test_parse_json__quick_way__takes_only_what_the_careful_way_takes_and_reads_it_alike(
    text: str,
) -> None:
    body = text.encode("utf-8", "surrogatepass")
    quick = parsing._quickly(body, MAX_DEPTH)
    if quick is not parsing._CAREFULLY:
        assert repr(quick) == repr(parsing._carefully(body, MAX_DEPTH, MAX_STRING))


def test_parse_json__a_common_body__goes_the_quick_way() -> None:
    for body in (
        b'{"unit": "u1", "experiments": ["a"], "attributes": {"n": 1.5}}',
        '{"unit": "ж"}'.encode(),
        b'{"unit": "\\u0436\\n"}',
    ):
        assert parsing._quickly(body, MAX_DEPTH) == json.loads(body)


FIRST_USES = """
import sys, threading, types
from experiments.http.parsing import convert
source = '''
from __future__ import annotations
import msgspec
class Inner(msgspec.Struct):
    units: dict[str, str] | None = None
class Outer(msgspec.Struct):
    batch: list[Inner] | None = None
    attributes: dict[str, int] = {}
'''
sys.setswitchinterval(1e-6)
for number in range(100):
    module = sys.modules[f"bodies{number}"] = types.ModuleType(f"bodies{number}")
    exec(source, module.__dict__)
    together = threading.Barrier(8)
    def use():
        together.wait()
        for _ in range(20):
            convert({"batch": [{"units": {"user": "u"}}], "attributes": {"a": 1}}, module.Outer)
    threads = [threading.Thread(target=use) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
"""


def test_convert__first_used_by_many_threads_at_once__does_not_end_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_USES], cwd=PROJECT, timeout=120, check=False)
    assert done.returncode == 0
