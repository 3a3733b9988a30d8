"""Calls over the real wire: results, errors, prints, streams."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

import jupyter_faas as faas
from jupyter_faas.core import codec
from jupyter_faas.wire.frames import STDERR, STDOUT, Frame, FrameKind
from tests.client.pretend_gateway import Frames, Hit, PretendGateway
from tests.support import wait_until

END = Frame(FrameKind.END, b"\x80")


def result(value: Any) -> Frame:
    return Frame(FrameKind.RESULT, b"".join(codec.dumps(value)))


def item(value: Any) -> Frame:
    return Frame(FrameKind.ITEM, b"".join(codec.dumps(value)))


def test_the_result_of_a_call_is_the_functions(gateway: PretendGateway) -> None:
    factor = 3

    @faas.serverless
    def times(x: int, plus: int = 0) -> int:
        return x * factor + plus

    assert times(2) == 6
    assert times.remote(2, plus=1) == 7
    assert times.local(2) == 6


def test_what_the_function_raises_is_raised_with_the_remote_traceback(
    gateway: PretendGateway,
) -> None:
    @faas.serverless
    def fails(text: str) -> None:
        raise LookupError(text)

    with pytest.raises(LookupError, match="gone") as caught:
        fails.remote("gone")
    assert "raise LookupError(text)" in "".join(caught.value.__notes__)


def test_prints_go_to_stdout_and_stderr_apart_and_unchanged(
    gateway: PretendGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(hit: Hit) -> Frames:
        yield Frame(FrameKind.LOG, b"1\r2\r", stream=STDOUT)
        yield Frame(FrameKind.LOG, "ä".encode()[:1], stream=STDERR)
        yield Frame(FrameKind.LOG, "ä".encode()[1:], stream=STDERR)
        yield result(None)
        yield END

    gateway.script("talks", answer)

    @faas.serverless
    def talks() -> None: ...

    talks.remote()
    assert capsys.readouterr() == ("1\r2\r", "ä")


def test_items_arrive_before_the_last_is_made(gateway: PretendGateway) -> None:
    go_on = threading.Event()

    def answer(hit: Hit) -> Frames:
        yield item(1)
        assert go_on.wait(20)
        yield item(2)
        yield END

    gateway.script("counts", answer)

    @faas.serverless
    def counts() -> Iterator[int]:
        yield 1

    items = counts.remote()
    assert next(items) == 1
    go_on.set()
    assert list(items) == [2]


def test_leaving_an_iterator_closes_its_connection(gateway: PretendGateway) -> None:
    def answer(hit: Hit) -> Frames:
        while True:
            yield item(b"x" * 100_000)

    gateway.script("endless", answer)

    @faas.serverless
    def endless() -> Iterator[bytes]:
        yield b""

    items = endless.remote()
    next(items)
    del items
    assert gateway.closed_early.wait(20)


def test_a_cut_answer_is_never_taken_for_complete(gateway: PretendGateway) -> None:
    gateway.script("cut", lambda hit: iter([result(1)]))

    @faas.serverless
    def cut() -> int:
        return 1

    with pytest.raises(faas.GatewayLost, match="cut in the middle"):
        cut.remote()


def test_an_interrupt_closes_the_connection(gateway: PretendGateway) -> None:
    def answer(hit: Hit) -> Frames:
        yield Frame(FrameKind.LOG, b"started", stream=STDOUT)
        while True:
            yield Frame(FrameKind.LOG, b"", stream=STDOUT)

    gateway.script("waits", answer)

    class Interrupting:
        def bind(self) -> Interrupting:
            return self

        def write(self, stream: int, text: str) -> None:
            raise KeyboardInterrupt

        def display(self, bundle: dict[str, Any]) -> None: ...

    @faas.serverless
    def waits() -> None: ...

    from jupyter_faas.client.session import session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "output", Interrupting())
        with pytest.raises(KeyboardInterrupt):
            waits.remote()
    assert gateway.closed_early.wait(20)


def test_an_argument_that_cannot_be_sent_is_named(gateway: PretendGateway) -> None:
    @faas.serverless
    def takes(x: Any) -> None: ...

    with pytest.raises(faas.NotSerializable, match="lock"):
        takes.remote({"client": threading.Lock()})


def test_an_exception_that_would_end_this_process_is_told_as_text(gateway: PretendGateway) -> None:
    import msgspec

    problem = {"code": "remote_error", "detail": "SystemExit: 3"}
    body = {"problem": problem, "exception": b"".join(codec.dumps(SystemExit(3))), "traceback": ""}
    frame = Frame(FrameKind.ERROR, msgspec.msgpack.encode(body))
    gateway.script("exits", lambda hit: iter([frame, END]))

    @faas.serverless
    def exits() -> None: ...

    with pytest.raises(faas.RemoteError, match="SystemExit"):
        exits.remote()


def test_connections_are_reused_and_one_is_needed_per_call_at_once(
    gateway: PretendGateway,
) -> None:
    @faas.serverless
    def same(x: int) -> int:
        return x

    for x in range(5):
        assert same.remote(x) == x
    client = faas.gateway()
    wait_until(lambda: len(client._idle) == 1)
    threads = [threading.Thread(target=same.remote, args=(x,)) for x in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(client._idle) <= 8


def test_methods_of_a_class_are_called_by_name(gateway: PretendGateway) -> None:
    @faas.serverless
    class Model:
        def __init__(self) -> None:
            self.calls = 0

        def predict(self, x: int) -> int:
            self.calls += 1
            return x + self.calls

        @classmethod
        def kind(cls, x: int) -> str:
            return cls.__name__ * x

        @staticmethod
        def twice(x: int) -> int:
            return 2 * x

    assert Model.kind.remote(1) == "Model"
    assert Model.twice.remote(4) == 8
    assert Model.predict.remote(10) == 11
    assert Model.predict.remote(10) == 12
    assert Model.predict.local(10) == 11
    assert Model().predict(1) == 2
    with pytest.raises(AttributeError, match="predict"):
        Model.fit  # noqa: B018


async def test_an_error_of_the_platform_or_the_function_ends_at_the_callers_line(
    gateway: PretendGateway,
) -> None:
    gateway.fails["nobody"] = faas.QueueFull("full")

    @faas.serverless
    def nobody() -> int:
        return 1

    @faas.serverless
    def fails() -> int:
        return 1 // 0

    @faas.serverless
    def stops() -> Iterator[int]:
        yield 1 // 0

    for call in (nobody.remote, fails.remote, lambda: next(stops.remote())):
        with pytest.raises((faas.FaasError, ZeroDivisionError)) as caught:
            call()
        assert {frame.filename for frame in traceback.extract_tb(caught.tb)} == {__file__}
    with pytest.raises(ZeroDivisionError) as awaited:
        await fails.remote.aio()
    assert [frame.filename for frame in traceback.extract_tb(awaited.tb)] == [__file__]


async def test_a_function_that_returns_a_generator_gives_an_iterator(
    gateway: PretendGateway,
) -> None:
    @faas.serverless
    def numbers(n: int) -> Iterator[int]:
        return (x if x < 5 else 1 // 0 for x in range(n))

    assert list(numbers.remote(3)) == [0, 1, 2]
    assert list(numbers.remote(0)) == []
    assert [x async for x in await numbers.remote.aio(3)] == [0, 1, 2]  # type: ignore[attr-defined]
    assert [x async for x in await numbers.remote.aio(0)] == []  # type: ignore[attr-defined]
    items = numbers.remote(9)
    assert next(items) == 0
    with pytest.raises(ZeroDivisionError):
        list(items)


async def test_any_keyword_can_be_an_argument(gateway: PretendGateway) -> None:
    @faas.serverless
    def same(**named: int) -> dict[str, int]:
        return named

    named = {"self": 1, "args": 2, "method": 3, "handle": 4}
    assert same(**named) == same.remote(**named) == await same.remote.aio(**named) == named


async def test_a_call_can_be_awaited(gateway: PretendGateway) -> None:
    @faas.serverless
    async def double(x: int) -> int:
        return 2 * x

    assert await double(2) == 4
    assert await double.remote.aio(2) == 4
    assert double.remote(3) == 6


async def test_items_can_be_iterated_asynchronously(gateway: PretendGateway) -> None:
    @faas.serverless
    def count(n: int) -> Iterator[int]:
        yield from range(n)

    assert [x async for x in count.remote.aio(3)] == [0, 1, 2]
