"""Deadlines, cancellation, retries: user code really ends, and nothing else does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from jupyter_faas.core.model import Retries
from tests.runner.harness import Replica
from tests.support import is_alive, untraced, wait_until

TIMEOUT_S = 5.0
"""Code has begun by then, also where a process stands still for a while."""
GRACE_S = 30.0
"""For code that ends when it is told to: it is not killed because it stands still."""


@pytest.fixture(scope="module", autouse=True)
def _untraced() -> Iterator[None]:
    with untraced():
        yield


def sleeper(path):
    import time

    try:
        Path(path).write_text("began")
        time.sleep(60)
    except BaseException as error:
        Path(path).write_text(type(error).__name__)
        raise


def stubborn(path):
    import time

    while True:
        with suppress(BaseException):
            Path(path).write_text("began")
            time.sleep(60)


async def async_sleeper(path):
    import asyncio

    write = Path(path).write_text
    write("began")
    try:
        await asyncio.sleep(60)
    except BaseException as error:
        write(type(error).__name__)
        raise


def began(path: Path) -> bool:
    return path.exists() and path.read_text() == "began"


def test_a_sync_call_over_its_timeout_is_interrupted_and_the_worker_lives(replica: Replica) -> None:
    path = Path(replica.path + ".mark")
    replica.specialise(sleeper, timeout_s=TIMEOUT_S, grace_s=GRACE_S)
    pid = replica.worker_pid
    began_s = time.monotonic()
    answer = replica.call(str(path))
    assert time.monotonic() - began_s < 20.0
    assert answer.problem["code"] == "timeout"
    assert answer.end.outcome == "timeout"
    assert 1_900 < answer.end.run_ms < 20_000
    assert path.read_text() == "KeyboardInterrupt"
    assert replica.worker_pid == pid


def test_the_callers_deadline_is_kept_too(replica: Replica) -> None:
    path = Path(replica.path + ".mark")
    replica.specialise(sleeper, grace_s=GRACE_S)
    answer = replica.call(str(path), headers={"Faas-Deadline-Ms": "200"})
    assert answer.problem["code"] == "timeout"
    assert replica.hello()["state"] == "ready"


def test_code_that_will_not_end_is_killed_after_the_grace(replica: Replica) -> None:
    path = Path(replica.path + ".mark")
    replica.specialise(stubborn, timeout_s=TIMEOUT_S, grace_s=0.1)
    pid = replica.worker_pid
    answer = replica.call(str(path))
    assert answer.problem["code"] == "timeout"
    wait_until(lambda: not is_alive(pid))
    replica.becomes("ready")
    assert replica.worker_pid != pid


def test_a_json_caller_gets_504(replica: Replica) -> None:
    path = Path(replica.path + ".mark")
    replica.specialise(sleeper, timeout_s=0.1)
    answer = replica.post_json(f'"{path}"'.encode())
    assert answer.status == 504
    assert answer.problem["code"] == "timeout"


def test_a_caller_that_leaves_ends_its_code(replica: Replica) -> None:
    path = Path(replica.path + ".mark")
    replica.specialise(sleeper, grace_s=GRACE_S)
    watch = replica.watch()
    with closing(watch):
        with closing(replica.begin(str(path), headers={"Faas-Invocation-Id": "gone"})):
            wait_until(lambda: began(path))
        wait_until(lambda: path.read_text() == "KeyboardInterrupt")
        (end,) = wait_until(watch.ended)
        assert (end.id, end.outcome) == ("gone", "cancelled")
        assert replica.hello().get("inFlight", 0) == 0


def test_delete_cancels(replica: Replica) -> None:
    path = Path(replica.path + ".mark")
    replica.specialise(sleeper)
    running = replica.in_background(str(path), headers={"Faas-Invocation-Id": "x1"})
    wait_until(lambda: began(path))
    assert replica.request("DELETE", "/v1/call/x1").status == 202
    assert running.answer().problem["code"] == "cancelled"
    assert replica.request("DELETE", "/v1/call/x1").status == 404


def test_an_async_call_is_cancelled_as_a_task(replica: Replica) -> None:
    path = Path(replica.path + ".mark")
    replica.specialise(async_sleeper, timeout_s=TIMEOUT_S, grace_s=GRACE_S)
    pid = replica.worker_pid
    answer = replica.call(str(path))
    assert answer.problem["code"] == "timeout"
    assert path.read_text() == "CancelledError"
    assert replica.worker_pid == pid


def test_one_async_call_is_cancelled_and_its_neighbour_goes_on(replica: Replica) -> None:
    async def wait(path, seconds):
        import asyncio

        write = Path(path).write_text
        write("began")
        await asyncio.sleep(seconds)
        return "done"

    replica.specialise(wait, max_inputs=2, grace_s=GRACE_S)
    first, second = Path(replica.path + ".1"), Path(replica.path + ".2")
    one = replica.in_background(str(first), 60, headers={"Faas-Invocation-Id": "one"})
    two = replica.in_background(str(second), 0.5)
    wait_until(lambda: began(first) and began(second))
    replica.request("DELETE", "/v1/call/one")
    assert one.answer().problem["code"] == "cancelled"
    assert two.answer().value == "done"


def test_a_call_in_a_thread_gets_an_exception(replica: Replica) -> None:
    def spin(path):
        try:
            Path(path).write_text("began")
            while True:
                pass
        except BaseException as error:
            Path(path).write_text(type(error).__name__)
            raise

    path = Path(replica.path + ".mark")
    replica.specialise(spin, max_inputs=4, grace_s=GRACE_S)
    pid = replica.worker_pid
    running = replica.in_background(str(path), headers={"Faas-Invocation-Id": "t"})
    wait_until(lambda: began(path))
    replica.request("DELETE", "/v1/call/t")
    assert running.answer().problem["code"] == "cancelled"
    assert path.read_text() == "KeyboardInterrupt"
    assert replica.worker_pid == pid


def test_a_thread_that_will_not_end_keeps_its_slot_until_its_neighbours_are_done(
    replica: Replica,
) -> None:
    def wait(path, go=None):
        import time

        while go is None:
            with suppress(BaseException):
                Path(path).write_text("began")
                time.sleep(60)
        Path(path).write_text("began")
        while not Path(go).exists():
            time.sleep(0.005)
        return "done"

    replica.specialise(wait, max_inputs=2, grace_s=0.1)
    pid = replica.worker_pid
    first, second = Path(replica.path + ".1"), Path(replica.path + ".2")
    go = Path(replica.path + ".go")
    with closing(replica.watch()) as watch:
        one = replica.in_background(str(first), headers={"Faas-Invocation-Id": "one"})
        two = replica.in_background(str(second), str(go))
        wait_until(lambda: began(first) and began(second))
        replica.request("DELETE", "/v1/call/one")
        answer = one.answer()
        assert answer.problem["code"] == "cancelled"
        assert answer.end.is_running
        assert answer.headers["faas-running"] == "1"
        assert is_alive(pid)
        assert replica.hello().get("inFlight", 0) == 2
        assert replica.call(str(first)).status == 503
        go.touch()
        assert two.answer().value == "done"
        (end,) = wait_until(watch.ended)
        assert end.id == "one"
        wait_until(lambda: not is_alive(pid))
        replica.becomes("ready")


def test_interrupts_between_calls_hit_nothing(replica: Replica) -> None:
    import os
    import signal

    replica.specialise(lambda x: x)
    pid = replica.worker_pid
    for i in range(50):
        os.kill(pid, signal.SIGINT)
        assert replica.call(i).value == i
    assert replica.worker_pid == pid


def test_cancelled_calls_in_a_row_never_hurt_the_next(replica: Replica) -> None:
    """The interrupt races with the end of the call: it must hit that call or nobody."""

    def short(x):
        for _ in range(2000):
            pass
        return x

    replica.specialise(short, grace_s=GRACE_S)
    pid = replica.worker_pid
    for i in range(100):
        replica.begin(i).close()
        answer = wait_until(lambda i=i: next((a for a in [replica.call(i)] if a.status == 200), 0))
        assert answer.value == i
    assert replica.worker_pid == pid


def test_user_errors_are_retried_only_as_asked(replica: Replica) -> None:
    def third_time(path):
        with open(path, "a") as file:
            file.write("x")
        with open(path) as file:
            tries = len(file.read())
        if tries < 3:
            raise ValueError(tries)
        return tries

    path = replica.path + ".tries"
    replica.specialise(third_time, retries=Retries(max_retries=2, initial_delay_s=0.05))
    assert replica.call(path).value == 3
    Path(path).write_text("")
    replica.request("POST", "/v1/drain")

    other = replica.zygote.replica()
    other.specialise(third_time, retries=Retries(max_retries=1, initial_delay_s=0.01))
    assert other.call(path).exception.args == (2,)


def test_a_cancelled_generator_is_closed(replica: Replica) -> None:
    def numbers(path):
        try:
            while True:
                yield bytes(100_000)
        finally:
            with open(path, "w") as file:
                file.write("closed")

    path = Path(replica.path + ".mark")
    replica.specialise(numbers, grace_s=GRACE_S)
    with closing(replica.begin(str(path))) as connection, connection.getresponse() as response:
        response.read1(100)
    wait_until(path.exists)
    assert replica.hello()["state"] == "ready"


def test_async_calls_cancelled_at_any_moment_leave_the_worker_as_it_was(replica: Replica) -> None:
    async def short(x):
        import asyncio

        await asyncio.sleep(0.001)
        return x

    replica.specialise(short, max_inputs=4, grace_s=GRACE_S)
    pid = replica.worker_pid
    for i in range(100):
        replica.begin(i).close()
    wait_until(lambda: replica.hello().get("inFlight", 0) == 0)
    assert replica.call(1).value == 1
    assert replica.worker_pid == pid
