"""Calls that are kept: they outlive their caller and the gateway, and run once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import jupyter_faas as faas
from jupyter_faas import serverless
from tests.e2e.gateway import Gateway, wait_until

pytestmark = pytest.mark.timeout(300)
# Code that is ended says so in a file: it has the time for that on a busy machine, too.
SETTINGS = {"FAAS_STABLE_WINDOW_S": 5, "FAAS_CANCEL_GRACE_S": 5}


@serverless(name="spawned", max_containers=3)
def work(x: int, seconds: float = 0.0) -> int:
    print("working on", x)
    time.sleep(seconds)
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x * 2


@serverless(name="spawned-held", max_containers=1)
def held(path: str, x: int) -> int:
    """Ends when a file is there."""
    until_s = time.monotonic() + 60.0
    while not os.path.exists(path) and time.monotonic() < until_s:
        time.sleep(0.01)
    return x * 2


@serverless(name="spawned-one", max_containers=1)
def marked(path: str, line: str, seconds: float = 0.0) -> str:
    print(line, flush=True)  # its answer has begun
    with open(path, "a") as file:
        file.write(line + "\n")
    time.sleep(seconds)
    return line


@serverless(name="spawned-again", max_containers=1, idempotent=True)
def marked_again(path: str, line: str, seconds: float = 0.0) -> str:
    with open(path, "a") as file:
        file.write(line + "\n")
    time.sleep(seconds)
    return line


@serverless(name="spawned-items")
def items(n: int) -> Iterator[int]:
    yield from range(n)


@serverless(name="spawned-counter")
class Counter:
    def __init__(self) -> None:
        self.total = 0

    def add(self, by: int) -> int:
        self.total += by
        return self.total


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_a_spawned_call_gives_its_result_as_often_as_it_is_asked_for(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    call = work.spawn(21)
    assert call.get() == 42
    assert call.get(timeout=20) == 42
    assert call.status == "done"
    assert "working on 21" in capsys.readouterr().out
    wait_until(lambda: list(call.logs()) == ["working on 21"], seen=call.logs)
    assert call.cancel() is False


def test_several_are_gathered_also_by_a_coroutine(gateway: Gateway) -> None:
    calls = [work.spawn(n) for n in range(3)]
    assert faas.gather(*calls) == [0, 2, 4]
    assert asyncio.run(faas.gather.aio(*calls)) == [0, 2, 4]
    with pytest.raises(faas.UsageError, match=r"write gather\(\*calls\)"):
        faas.gather(calls)  # type: ignore[arg-type]
    with pytest.raises(faas.UsageError, match="results"):
        faas.gather(work.spawn_map([1]))  # type: ignore[arg-type]


def test_what_it_raises_is_raised_where_the_result_is_asked_for(gateway: Gateway) -> None:
    call = work.spawn(-1)
    with pytest.raises(ValueError, match="-1 is negative") as raised:
        call.get()
    assert any("spawned raised it" in note for note in raised.value.__notes__)
    assert call.status == "error"


def test_waiting_has_a_limit_and_does_not_end_the_call(gateway: Gateway, tmp_path: Path) -> None:
    call = held.spawn(str(tmp_path / "go on"), 4)
    wait_until(lambda: call.status == "running", seen=lambda: call.status)
    with pytest.raises(TimeoutError, match="goes on"):
        call.get(timeout=0.1)
    assert call.status == "running"
    (tmp_path / "go on").touch()
    assert call.get() == 8


def test_a_generator_s_items_come_as_a_list_and_a_method_is_spawned_too(gateway: Gateway) -> None:
    assert items.spawn(3).get() == [0, 1, 2]
    assert items.spawn(0).get() == []
    assert Counter.add.spawn(5).get() == 5


async def test_it_can_be_awaited(gateway: Gateway) -> None:
    calls = [work.spawn(x) for x in range(3)]
    assert await asyncio.gather(*(call.get.aio() for call in calls)) == [0, 2, 4]


def test_many_run_as_far_as_there_is_room_and_in_their_order(
    gateway: Gateway, tmp_path: Path
) -> None:
    path = tmp_path / "order"
    calls = [marked.spawn(str(path), str(n)) for n in range(50)]
    assert faas.gather(*calls) == [str(n) for n in range(50)]
    assert lines(path) == [str(n) for n in range(50)]


def test_more_than_the_waiting_room_holds_are_kept(gateway: Gateway) -> None:
    calls = [work.spawn(n) for n in range(1100)]
    assert faas.gather(*calls) == [n * 2 for n in range(1100)]


def test_another_process_gets_the_result_by_the_id(gateway: Gateway) -> None:
    call = work.spawn(7, seconds=0.3)
    script = (
        "import jupyter_faas as faas; "
        f"call = faas.FunctionCall.from_id({call.id!r}); print(repr(call), call.get())"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert said.stdout.split()[-1] == "14"
    assert f"<FunctionCall {call.id} of spawned>" in said.stdout
    with pytest.raises(faas.InvocationNotFound):
        faas.FunctionCall.from_id("c-nothing")


def test_cancelling_ends_what_runs_and_what_waits(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "cancelled"
    runs = marked.spawn(str(path), "runs", 30.0)
    wait_until(lambda: lines(path) == ["runs"])
    waits = marked.spawn(str(path), "waits")
    began = time.monotonic()
    assert waits.cancel()
    assert runs.cancel()
    for call in (runs, waits):
        with pytest.raises(faas.InvocationCancelled):
            call.get()
        assert call.status == "cancelled"
    assert time.monotonic() - began < 20
    assert marked.remote(str(path), "next") == "next"
    assert lines(path) == ["runs", "next"]


def test_after_a_kill_what_had_not_begun_runs_and_what_had_is_said_to_be_lost(
    gateway: Gateway, tmp_path: Path
) -> None:
    path = tmp_path / "killed"
    marked.deploy()
    begun = marked.spawn(str(path), "begun", 60.0)
    waiting = [marked.spawn(str(path), str(n)) for n in range(3)]
    wait_until(lambda: lines(path) == ["begun"])
    gateway.kill()
    gateway.start()
    with pytest.raises(faas.GatewayLost, match="may have run"):
        faas.FunctionCall.from_id(begun.id).get()
    assert [faas.FunctionCall.from_id(call.id).get() for call in waiting] == ["0", "1", "2"]
    assert lines(path) == ["begun", "0", "1", "2"]


def test_after_a_kill_an_idempotent_one_runs_again(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "again"
    marked_again.deploy()
    begun = marked_again.spawn(str(path), "begun", 5.0)
    wait_until(lambda: lines(path) == ["begun"])
    gateway.kill()
    gateway.start()
    assert faas.FunctionCall.from_id(begun.id).get() == "begun"
    assert lines(path) == ["begun", "begun"]


def test_a_function_that_is_deleted_meanwhile_is_the_answer(
    gateway: Gateway, tmp_path: Path
) -> None:
    @serverless(name="spawned-gone", max_containers=1)
    def gone(path: str) -> None:
        until_s = time.monotonic() + 60.0
        while not os.path.exists(path) and time.monotonic() < until_s:
            time.sleep(0.01)

    go_on = tmp_path / "go on"
    runs, waits = gone.spawn(str(go_on)), gone.spawn(str(go_on))
    wait_until(lambda: runs.status == "running")
    gone.delete()
    go_on.touch()
    with pytest.raises(faas.FunctionNotFound):
        waits.get(timeout=20)
    assert runs.get(timeout=20) is None


class TestOverHttp:
    """The same for any HTTP client."""

    def test_it_is_accepted_and_answered_as_an_ordinary_call_is(
        self, gateway: Gateway, tmp_path: Path
    ) -> None:
        held.deploy()
        go_on = tmp_path / "go on"
        wanted = {"path": str(go_on), "x": 3}
        said = gateway.request("POST", "/async-function/spawned-held", wanted)
        assert said.status == 202
        id = said.headers["faas-invocation-id"]
        assert said.headers["location"] == f"/v1/invocations/{id}"
        path = f"/v1/invocations/{id}/result"
        early = gateway.request("GET", path)
        assert early.status == 202, early
        go_on.touch()
        answer = gateway.request("GET", f"{path}?wait_s=20")
        assert (answer.status, answer.json()) == (200, 6)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["faas-revision"].isdigit()
        assert gateway.request("GET", f"/v1/invocations/{id}").json()["outcome"] == "done"
        assert gateway.request("GET", path, token=None).status == 401

    def test_what_is_wrong_is_said_at_once(self, gateway: Gateway) -> None:
        assert gateway.request("POST", "/async-function/nope", 1).code == "function_not_found"
        assert gateway.request("POST", "/async-function/spawned", 1, token=None).status == 401
        bad = gateway.request(
            "POST", "/async-function/spawned", 1, {"X-Callback-Url": "file:///etc/passwd"}
        )
        assert bad.status == 400
        error = gateway.request("POST", "/async-function/spawned", {"y": 1})
        id = error.headers["faas-invocation-id"]
        answer = gateway.request("GET", f"/v1/invocations/{id}/result?wait_s=20")
        assert (answer.status, answer.code) == (400, "bad_request")

    def test_the_same_key_is_the_same_call(self, gateway: Gateway, tmp_path: Path) -> None:
        marked.deploy()
        path = tmp_path / "key"
        ids = {
            gateway.request(
                "POST",
                "/async-function/spawned-one",
                {"path": str(path), "line": "x"},
                {"Idempotency-Key": "order-17"},
            ).headers["faas-invocation-id"]
            for _ in range(3)
        }
        assert len(ids) == 1
        gateway.request("GET", f"/v1/invocations/{ids.pop()}/result?wait_s=20")
        assert lines(path) == ["x"]

    def test_a_deadline_passes_while_it_waits_too(self, gateway: Gateway, tmp_path: Path) -> None:
        holds = marked.spawn(str(tmp_path / "d"), "holds", 30.0)
        wait_until(lambda: holds.status == "running")
        said = gateway.request(
            "POST",
            "/async-function/spawned-one",
            {"path": str(tmp_path / "d"), "line": "late"},
            {"Faas-Deadline-Ms": "1"},
        )
        id = said.headers["faas-invocation-id"]
        assert holds.cancel()
        answer = gateway.request("GET", f"/v1/invocations/{id}/result?wait_s=20")
        assert (answer.status, answer.code) == (504, "timeout")

    def test_the_end_is_told_to_whom_was_named(self, gateway: Gateway) -> None:
        with listener(fail_first=True) as (url, heard):
            said = gateway.request(
                "POST", "/async-function/spawned", {"x": 5}, {"X-Callback-Url": f"{url}/done?a=1"}
            )
            wait_until(lambda: len(heard) >= 2, 20.0, seen=lambda: heard)
        path, headers, body = heard[-1]
        assert path == "/done?a=1"
        assert headers["Faas-Invocation-Id"] == said.headers["faas-invocation-id"]
        assert headers["Faas-Status"] == "200"
        assert json.loads(body) == 10


class TestExecutor:
    """`concurrent.futures` over remote calls."""

    def test_plain_and_remote_functions_lambdas_and_errors(self, gateway: Gateway) -> None:
        def square(x: int) -> int:
            return x * x

        def add(a: int, b: int, c: int) -> tuple[int, int, int]:
            return a, b, c

        class Scaled:
            def __init__(self, by: int) -> None:
                self.by = by

            def times(self, x: int) -> int:
                return self.by * x

        with faas.Executor(max_containers=3) as pool:
            assert list(pool.map(square, range(20))) == [x * x for x in range(20)]
            futures = {pool.submit(work, x): x for x in (1, -1)}
            for future in as_completed(futures):
                if futures[future] == 1:
                    assert future.result() == 2
                else:
                    assert isinstance(future.exception(), ValueError)
            assert pool.submit(lambda x: x + 1, 1).result() == 2
            assert list(pool.map(partial(square), range(3))) == [0, 1, 4]
            assert pool.submit(partial(partial(add, 1), b=2), c=3).result() == (1, 2, 3)
            assert list(pool.map(Scaled(3).times, range(3))) == [0, 3, 6]
            assert pool.submit(partial(work, seconds=0.0), 2).result() == 4
            with pytest.raises(faas.UsageError, match="no function"):
                pool.submit(print, 1)

    def test_lambdas_of_two_notebooks_are_two_functions(self) -> None:
        def name(code: Any) -> str:
            with faas.Executor() as pool:
                return str(pool._handle(code).name)

        assert name(lambda x: x + 1) == name(lambda x: x + 1)
        assert name(lambda x: x + 1) != name(lambda x: x + 2)

    def test_a_lambda_made_in_a_loop_is_one_function(self) -> None:
        by = 3
        with faas.Executor() as pool:
            assert len({pool._handle(lambda x: x + by) for _ in range(3)}) == 1
            assert len({pool._handle(lambda x, i=i: x + i) for i in range(3)}) == 3
            assert len({pool._handle(added(i)) for i in range(3)}) == 3

    @pytest.mark.parametrize("is_read", [True, False])
    def test_an_interrupt_ends_the_block_and_what_runs(
        self, gateway: Gateway, tmp_path: Path, is_read: bool
    ) -> None:
        def holds(folder: str, number: int) -> None:
            mark = Path(folder, str(number))
            try:
                mark.write_text("begun")
                time.sleep(60)
            finally:
                mark.write_text("stopped")

        def marks() -> list[str]:
            return [path.read_text() for path in tmp_path.iterdir()]

        futures: list[Future[None]] = []
        main = threading.main_thread().ident
        assert main

        def block() -> None:
            with faas.Executor(max_calls=3, max_containers=2) as pool:
                futures.extend(pool.submit(holds, str(tmp_path), number) for number in range(5))
                wait_until(lambda: marks().count("begun") == 2, 20.0, seen=marks)
                threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()
                if is_read:  # else the end of the block waits
                    futures[0].result()

        with pytest.raises(KeyboardInterrupt):
            block()
        assert all(future.done() for future in futures)
        running, waiting = futures[:3], futures[3:]
        assert all(future.cancelled() for future in waiting)
        assert {type(future.exception()) for future in running} == {faas.InvocationCancelled}
        # The third, which waits for a replica, may get that of the first for a moment.
        wait_until(lambda: set(marks()) == {"stopped"}, seen=marks)
        assert {path.name for path in tmp_path.iterdir()} <= {"0", "1", "2"}

    def test_a_running_future_cannot_be_cancelled_alone(
        self, gateway: Gateway, tmp_path: Path
    ) -> None:
        with faas.Executor() as pool:
            future = pool.submit(marked, str(tmp_path / "m"), "x", 0.5)
            wait_until((tmp_path / "m").exists, 20.0)
            assert not future.cancel()
            assert future.result() == "x"

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"max_container": 1}, "Did you mean 'max_containers'"),
            ({"max_workers": 4}, "max_calls=… limits the calls"),
            ({"max_calls": 0}, "max_calls=0: allowed is a number"),
            ({"max_calls": print}, "Functions are given to `submit` and `map`"),
        ],
    )
    def test_a_wrong_argument_is_said_when_it_is_made(
        self, given: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(faas.InvalidSpec, match=said):
            faas.Executor(**given)


def added(i: int) -> Callable[[int], int]:
    return lambda x: x + i


@contextmanager
def listener(*, fail_first: bool) -> Iterator[tuple[str, list[Any]]]:
    """Listen for callbacks on a loopback port; the first may be answered with 503."""
    heard: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((self.path, dict(self.headers), body))
            self.send_response(503 if fail_first and len(heard) == 1 else 204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
