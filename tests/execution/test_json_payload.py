"""Plain HTTP: bodies become arguments, results become JSON, and what cannot is named."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import pathlib
import uuid
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.errors import BadRequest, ResultNotJson
from jupyter_faas.core.signature import enums_of, parameters_of
from jupyter_faas.execution.json_payload import Binder, _plain, encode_result, signature_of


def bind(body, content_type, signature):
    return Binder(signature, content_type).bind(body)


def two(x: int, y: int = 2) -> None: ...
def raw(body: bytes) -> None: ...
def raw_text(body: bytes) -> None: ...
def raw_keyword(*, body: bytes) -> None: ...
def raw_mutable(body: bytearray) -> None: ...
def nothing() -> None: ...
def anything(*args: Any, **kwargs: Any) -> None: ...


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
        "application/vnd.x+json",
    ],
)
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"x": 1}', ((), {"x": 1})),
        (b"[1, 2]", ((1, 2), {})),
        (b"[[1, 2]]", (([1, 2],), {})),
        (b"3", ((3,), {})),
        (b'"text"', (("text",), {})),
        (b"null", ((None,), {})),
    ],
)
def test_bodies_become_arguments(content_type: str, body: bytes, expected: Any) -> None:
    assert bind(body, content_type, signature_of(two)) == expected
    assert bind(bytearray(body), content_type, None) == expected
    assert bind(memoryview(body), content_type, signature_of(anything)) == expected


def test_an_empty_body_is_no_arguments() -> None:
    assert bind(b"", "", signature_of(nothing)) == ((), {})
    with pytest.raises(BadRequest, match="missing a required argument: 'x'"):
        bind(b"", "", signature_of(two))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"x": 1, "z": 2}', "'z'"),
        (b"{}", "'x'"),
        (b"[1, 2, 3]", "too many positional arguments"),
        (b'{"y": 1}', "missing a required argument: 'x'"),
    ],
)
def test_wrong_arguments_name_the_parameter(body: bytes, text: str) -> None:
    with pytest.raises(BadRequest, match=text) as caught:
        bind(body, "", signature_of(two))
    assert "It takes (x" in str(caught.value)


def test_bad_json_names_the_position() -> None:
    for body in (b'{"x": }', b"{", b"nope", b'"\xff"', b"[" * 100_000):
        with pytest.raises(BadRequest, match="no JSON"):
            bind(body, "", signature_of(two))
    with pytest.raises(BadRequest, match="byte 6"):
        bind(b'{"x": }', "", signature_of(two))


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "image/png",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    ],
)
def test_a_function_of_one_bytes_parameter_gets_the_body_as_it_is(content_type: str) -> None:
    body = b"\x00{not json"
    assert bind(body, content_type, signature_of(raw)) == ((body,), {})
    assert bind(memoryview(body), content_type, signature_of(raw_text)) == ((body,), {})
    assert bind(body, content_type, signature_of(raw_keyword)) == ((), {"body": body})
    (mutable,), _ = bind(body, content_type, signature_of(raw_mutable))
    assert type(mutable) is bytearray


def test_a_body_that_is_no_json_needs_a_bytes_parameter() -> None:
    with pytest.raises(BadRequest, match="image/png"):
        bind(b"x", "image/png", signature_of(two))


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Point:
    x: int
    when: Any = None


class Pair(NamedTuple):
    a: int
    b: int


RESULTS = [
    ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
    (Point(1, Point(2)), {"x": 1, "when": {"x": 2, "when": None}}),
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    (
        {Colour.RED: 1, 2: 2, None: 3, True: 4, 1.5: 5},
        {"red": 1, "2": 2, "null": 3, "true": 4, "1.5": 5},
    ),
    (datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.UTC), "2024-01-02T03:04:05Z"),
    (datetime.date(2024, 1, 2), "2024-01-02"),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (decimal.Decimal("1.10"), "1.10"),
    (pathlib.PurePosixPath("/a"), "/a"),
    ((1, {2}), [1, [2]]),
    (Pair(1, 2), [1, 2]),
    (float("nan"), None),
    ([float("inf"), -float("inf")], [None, None]),
    (np.float32(0.5), 0.5),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.float64("nan"), None),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array([1.0, np.nan]), [1.0, None]),
    (np.array(7), 7),
    (np.array([{"a": np.int64(1)}], dtype=object), [{"a": 1}]),
    (np.array(["2024-01-02", "NaT"], dtype="M8[D]"), ["2024-01-02", None]),
    (np.datetime64("2024-01-02"), "2024-01-02"),
    (pd.Series([1, 2]), [1, 2]),
    (pd.Series([1.0, None]), [1.0, None]),
    (
        pd.DataFrame({"a": [1, 2], "b": ["x", None], "t": pd.to_datetime(["2024-01-02", None])}),
        [{"a": 1, "b": "x", "t": "2024-01-02T00:00:00"}, {"a": 2, "b": None, "t": None}],
    ),
    (pd.DataFrame({0: [1]}), [{"0": 1}]),
    (pd.DataFrame({"a": []}), []),
    (pd.Index(["a"]), ["a"]),
    (pd.NaT, None),
    (pd.NA, None),
    ({"p": Point(1, [np.int64(2)])}, {"p": {"x": 1, "when": [2]}}),
    (b"raw", "cmF3"),
    (2**100, 2**100),
]


@pytest.mark.parametrize(("value", "expected"), RESULTS, ids=[repr(v)[:40] for v, _ in RESULTS])
def test_results_become_json(value: Any, expected: Any) -> None:
    assert json.loads(encode_result(value)) == expected


@pytest.mark.parametrize(("value", "expected"), RESULTS, ids=[repr(v)[:40] for v, _ in RESULTS])
def test_the_careful_way_gives_the_same(value: Any, expected: Any) -> None:
    assert json.loads(msgspec.json.encode(_plain(value, "result", 0))) == expected


class Opaque: ...


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Opaque(), "result is of type Opaque"),
        ({"a": [1, Opaque()]}, r"result\['a'\]\[1\] is of type Opaque"),
        (Point(1, Opaque()), r"result\.when is of type Opaque"),
        ({"f": len}, r"result\['f'\]"),
        (1 + 2j, "complex"),
        ({Opaque(): 1}, "a key of result"),
        (np.array([Opaque()]), r"result\[0\]"),
    ],
)
def test_what_has_no_json_form_is_named_with_its_path(value: Any, path: str) -> None:
    with pytest.raises(ResultNotJson, match=path):
        encode_result(value)


def test_a_result_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ResultNotJson, match="contains itself"):
        encode_result(loop)


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(_json)
def test_plain_values_go_through_unchanged(value: Any) -> None:
    assert json.loads(encode_result(value)) == value
    assert bind(b"[" + encode_result(value) + b"]", "application/json", None) == ((value,), {})


def test_what_fitted_once_is_not_looked_through_again_and_what_does_not_is_refused_each_time():
    binder = Binder(signature_of(two), "application/json")
    for value in (1, 2):
        assert binder.bind(b'{"x": %d}' % value) == ((), {"x": value})
    for _ in range(2):
        with pytest.raises(BadRequest, match="unexpected keyword argument 'z'"):
            binder.bind(b'{"x": 1, "z": 2}')


def test_names_that_callers_make_up_are_not_kept():
    binder = Binder(signature_of(anything), "application/json")
    for number in range(200):
        assert binder.bind(b'{"n%d": 1}' % number) == ((), {f"n{number}": 1})
    assert not binder._fitting


class Size(enum.Enum):
    SMALL = 1
    LARGE = "l"


def sized(name: str, size: Size, other: Size | None = None, *rest: Size) -> None: ...


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"name": "l", "size": "l"}', ((), {"name": "l", "size": Size.LARGE})),
        (
            b'{"name": "", "size": "SMALL", "other": 1}',
            ((), {"name": "", "size": Size.SMALL, "other": Size.SMALL}),
        ),
        (
            b'{"name": "", "size": 1, "other": null}',
            ((), {"name": "", "size": Size.SMALL, "other": None}),
        ),
        (b'["l", "l", 1]', (("l", Size.LARGE, Size.SMALL), {})),
        (b'["l", 1, 1, 1, "l"]', (("l", Size.SMALL, Size.SMALL, 1, "l"), {})),
    ],
)
def test_values_and_names_become_members_of_enumerations(body: bytes, expected: Any) -> None:
    binder = Binder(signature_of(sized), "", enums_of(sized))
    for _ in range(2):
        assert binder.bind(body) == expected


def test_what_is_no_member_is_refused_with_the_members() -> None:
    binder = Binder(signature_of(sized), "", enums_of(sized))
    with pytest.raises(BadRequest, match=r"size='m': allowed is one of 1, 'l'\."):
        binder.bind(b'{"name": "", "size": "m"}')


def test_forms_are_told_the_members() -> None:
    choices = {one["name"]: one.get("choices") for one in parameters_of(sized)}
    assert choices == {"name": None, "size": ["1", '"l"'], "other": ["1", '"l"'], "rest": None}
