"""One call: phases, generators, failures."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

import pytest

from jupyter_faas.core.errors import BadRequest, NotSerializable
from jupyter_faas.execution.call import Call


class Plain:
    """Arguments are given as they are, values are kept as they are."""

    def __init__(self, args: Sequence[Any] = (), fails: BaseException | None = None) -> None:
        self.args = args
        self.fails = fails

    def bind(self, payload: Any, target: Any) -> tuple[Sequence[Any], dict[str, Any]]:
        if self.fails is not None:
            raise self.fails
        return self.args, {}

    def encode(self, value: Any) -> tuple[Any, int]:
        if value == "unpicklable":
            raise NotSerializable("result → x")
        return [value], 0

    encode_item = encode

    def dump_exception(self, error: BaseException) -> bytes | None:
        return repr(error).encode()


class Got:
    def __init__(self) -> None:
        self.items: list[Any] = []
        self.results: list[Any] = []

    def item(self, parts: Any, body_type: int) -> None:
        self.items.extend(parts)

    def result(self, parts: Any, body_type: int) -> None:
        self.results.extend(parts)


class AsyncGot(Got):
    async def item(self, parts: Any, body_type: int) -> None:  # type: ignore[override]
        self.items.extend(parts)

    async def result(self, parts: Any, body_type: int) -> None:  # type: ignore[override]
        self.results.extend(parts)


def test_a_function_gives_one_result() -> None:
    got = Got()
    Call(lambda x: x + 1, b"", Plain([2])).perform(got)
    assert (got.results, got.items) == ([3], [])


def test_a_generator_gives_items_and_no_result() -> None:
    got = Got()
    Call(lambda: (i for i in range(3)), b"", Plain()).perform(got)
    assert (got.results, got.items) == ([], [0, 1, 2])


def test_a_coroutine_from_a_plain_function_is_awaited() -> None:
    async def later() -> str:
        return "later"

    got = Got()
    Call(functools.partial(later), b"", Plain()).perform(got)
    assert got.results == ["later"]


def test_async_functions_and_generators() -> None:
    async def one() -> int:
        return 1

    async def many() -> Any:
        yield 1
        yield 2

    async def run() -> AsyncGot:
        got = AsyncGot()
        await Call(one, b"", Plain()).perform_async(got)
        await Call(many, b"", Plain()).perform_async(got)
        return got

    got = asyncio.run(run())
    assert (got.results, got.items) == ([1], [1, 2])


def fault(call: Call, got: Got | None = None) -> Any:
    with pytest.raises(BaseException) as caught:
        call.perform(got or Got())
    return call.fault_of(caught.value)


def test_what_user_code_raises_is_its_own() -> None:
    def fail() -> None:
        raise ValueError("no")

    call = Call(fail, b"", Plain())
    told = fault(call)
    assert call.is_in_code
    assert told.problem["code"] == "remote_error"
    assert told.problem["detail"] == "ValueError: no"
    assert told.exception == b"ValueError('no')"
    assert "raise ValueError" in told.traceback


def test_arguments_that_cannot_be_read_are_no_failure_of_the_code() -> None:
    for error, code in [
        (BadRequest("no JSON"), "bad_request"),
        (ModuleNotFoundError("No module named 'x'"), "missing_packages"),
        (TypeError("strange"), "remote_error"),
    ]:
        call = Call(lambda: 1, b"", Plain(fails=error))
        told = fault(call)
        assert told.problem["code"] == code
        assert not call.is_in_code


def test_a_result_that_cannot_be_written_is_no_failure_of_the_code() -> None:
    call = Call(lambda: "unpicklable", b"", Plain())
    told = fault(call)
    assert told.problem["code"] == "not_serializable"
    assert not call.is_in_code


def test_an_item_that_cannot_be_written_closes_the_generator() -> None:
    closed = []

    def items() -> Any:
        try:
            yield 1
            yield "unpicklable"
        finally:
            closed.append(True)

    got = Got()
    assert fault(Call(items, b"", Plain()), got).problem["code"] == "not_serializable"
    assert got.items == [1]
    assert closed == [True]


def test_running_out_of_memory_is_said_so() -> None:
    def hungry() -> None:
        raise MemoryError

    told = fault(Call(hungry, b"", Plain()))
    assert told.problem["code"] == "replica_lost"
    assert told.problem["reason"] == "out_of_memory"


def test_leaving_has_no_exception_to_raise_again() -> None:
    def leave() -> None:
        raise SystemExit(2)

    told = fault(Call(leave, b"", Plain()))
    assert told.exception is None
    assert told.problem["exception"] == "SystemExit"
