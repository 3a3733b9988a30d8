"""Calls through a real front and worker: values, errors, streams, classes, JSON."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec
import numpy as np
import pytest

from jupyter_faas.core import codec
from jupyter_faas.core.inline import inline_package
from jupyter_faas.runner.preload import REHEARSAL
from tests.runner.harness import SECRET, Background, Replica, UnixConnection
from tests.support import resident_mib, wait_until


def test_a_function_is_called(replica: Replica) -> None:
    replica.specialise(lambda x, y=1: x + y)
    answer = replica.call(3, y=4)
    assert answer.status == 200, answer
    assert answer.value == 7
    assert answer.end.outcome == "done"
    assert float(answer.headers["faas-run-ms"]) >= 0


def test_an_exception_travels_with_its_type_and_the_authors_traceback(replica: Replica) -> None:
    def divide(x):
        return 1 / x

    replica.specialise(divide)
    answer = replica.call(0)
    assert answer.status == 200
    assert answer.headers["faas-fault"] == "user"
    assert type(answer.exception) is ZeroDivisionError
    assert "return 1 / x" in answer.fault["traceback"]
    assert "jupyter_faas" + os.sep not in answer.fault["traceback"]
    assert answer.problem["code"] == "remote_error"
    assert answer.problem["detail"] == "ZeroDivisionError: division by zero"
    assert answer.end.outcome == "error"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_leaving_is_an_error_of_the_call_and_not_the_end_of_the_worker(
    replica: Replica, error: type[BaseException]
) -> None:
    def leave():
        raise error(3)

    replica.specialise(leave)
    pid = replica.worker_pid
    answer = replica.call()
    assert answer.problem["code"] == "remote_error"
    assert error.__name__ in answer.problem["detail"]
    assert answer.fault["exception"] is None
    assert replica.worker_pid == pid


def test_a_result_that_cannot_be_pickled_names_the_path(replica: Replica) -> None:
    def give():
        import threading

        return {"a": [1, threading.Lock()]}

    replica.specialise(give)
    problem = replica.call().problem
    assert problem["code"] == "not_serializable"
    assert "result" in problem["detail"]


def test_a_memory_error_is_told_as_out_of_memory_and_the_worker_lives(replica: Replica) -> None:
    def hungry():
        return len(bytearray(10 << 30))

    replica.specialise(hungry, memory_mib=400)
    pid = replica.worker_pid
    answer = replica.call()
    assert answer.problem["code"] == "replica_lost"
    assert answer.problem["reason"] == "out_of_memory"
    assert replica.worker_pid == pid


def test_items_of_a_generator_arrive_while_it_runs(replica: Replica) -> None:
    def count(n):
        yield from range(n)

    replica.specialise(count)
    assert replica.call(5).items == [0, 1, 2, 3, 4]
    assert replica.call(0).items == []
    answer = replica.call(100_000)
    assert answer.items == list(range(100_000))


def test_the_first_item_arrives_before_the_last_is_made(replica: Replica) -> None:
    def pair(path):
        import os
        import time

        yield "first"
        while not os.path.exists(path):
            time.sleep(0.005)
        yield "second"

    replica.specialise(pair)
    path = replica.path + ".go"
    with closing(replica.begin(path)) as connection, connection.getresponse() as response:
        first = response.read1()
        assert b"first" in first
        assert b"second" not in first
        Path(path).touch()
        assert b"second" in response.read()


def test_a_slow_reader_pauses_the_generator(replica: Replica) -> None:
    def flood(path):
        for i in range(1000):
            with open(path, "w") as file:
                file.write(str(i))
            yield bytes(100_000)

    replica.specialise(flood)
    path = replica.path + ".count"
    seen = [-1]

    def is_still() -> bool:
        before, seen[0] = seen[0], int(Path(path).read_text() or 0)
        time.sleep(0.2)
        return before == seen[0] > 0

    with closing(replica.begin(path)) as connection, connection.getresponse() as response:
        response.read1(10)
        wait_until(is_still)
        assert seen[0] < 200  # 20 of 100 MB
        assert resident_mib(replica.zygote.front_pid(replica)) < 120
        assert len(response.read()) > 99_000_000


def test_a_generator_that_fails_late_gives_items_then_the_error(replica: Replica) -> None:
    def broken():
        yield 1
        raise ValueError("late")

    replica.specialise(broken)
    answer = replica.call()
    assert answer.items == [1]
    assert answer.exception.args == ("late",)


def test_an_async_function_runs_on_a_loop_that_goes_on(replica: Replica) -> None:
    async def ticks():
        import asyncio

        loop = asyncio.get_running_loop()
        await asyncio.sleep(0.001)
        return id(loop)

    replica.specialise(ticks)
    assert replica.call().value == replica.call().value


def test_async_generators_stream(replica: Replica) -> None:
    async def count(n):
        import asyncio

        for i in range(n):
            await asyncio.sleep(0)
            yield i

    replica.specialise(count)
    assert replica.call(4).items == [0, 1, 2, 3]


def test_calls_run_side_by_side_up_to_max_inputs(replica: Replica) -> None:
    def meet():
        import threading

        # One for all: two that come at once both find none.
        return vars(meet).setdefault("barrier", threading.Barrier(3)).wait(30)

    replica.specialise(meet, max_inputs=3)
    calls = [replica.in_background() for _ in range(3)]
    assert sorted(call.answer().value for call in calls) == [0, 1, 2]


def test_async_calls_run_side_by_side(replica: Replica) -> None:
    async def meet():
        import asyncio

        if not hasattr(meet, "event"):
            meet.event, meet.n = asyncio.Event(), 0
        meet.n += 1
        if meet.n == 3:
            meet.event.set()
        await asyncio.wait_for(meet.event.wait(), 30)
        return meet.n

    replica.specialise(meet, max_inputs=3)
    calls = [replica.in_background() for _ in range(3)]
    assert [call.answer().value for call in calls] == [3, 3, 3]


def test_a_full_replica_says_busy_from_the_head_alone(replica: Replica) -> None:
    def wait(path):
        import os
        import time

        while not os.path.exists(path):
            time.sleep(0.005)

    replica.specialise(wait)
    path = replica.path + ".go"
    running = replica.in_background(path)
    wait_until(lambda: replica.hello().get("inFlight", 0) == 1)
    with closing(UnixConnection(replica.path)) as connection:
        connection.putrequest("POST", "/v1/call")
        for name, value in ({"Faas-Secret": SECRET} | replica.headers()).items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", "1000000")
        connection.endheaders()
        with connection.getresponse() as refused:
            assert refused.status == 503
            assert refused.getheader("Faas-Busy") == "1"
    Path(path).touch()
    assert running.answer().value is None


def test_a_class_is_made_once_and_closed_at_drain(replica: Replica) -> None:
    class Model:
        def __init__(self):
            self.calls = 0

        def add(self, x):
            self.calls += 1
            return self.calls, x + 1

        def stream(self, n):
            yield from range(n)

        def where(self, path):
            self.path = path

        def close(self):
            with open(self.path, "w") as file:
                file.write("closed")

    replica.specialise(Model)
    assert replica.call(1, headers={"Faas-Method": "add"}).value == (1, 2)
    assert replica.call(5, headers={"Faas-Method": "add"}).value == (2, 6)
    assert replica.call(3, headers={"Faas-Method": "stream"}).items == [0, 1, 2]
    missing = replica.call(headers={"Faas-Method": "nothing"}).problem
    assert missing["code"] == "bad_request"
    path = replica.path + ".closed"
    replica.call(path, headers={"Faas-Method": "where"})
    assert replica.request("POST", "/v1/drain").status == 202
    assert replica.zygote.wait_event("gone", id=replica.name)["reason"] == "stopped"
    assert Path(path).read_text() == "closed"


def test_large_arguments_and_results_pass_and_the_front_stays_small(replica: Replica) -> None:
    def double(a):
        a *= 2  # arguments are writable
        return a

    replica.specialise(double)
    front = replica.zygote.front_pid(replica)
    before = resident_mib(front)
    array = np.arange(12_500_000, dtype=np.int64)  # 100 MB
    answer = replica.call(array)
    assert answer.value[-1] == 2 * array[-1]
    assert resident_mib(front) < before + 20


def test_a_body_larger_than_the_memory_is_refused(replica: Replica) -> None:
    replica.specialise(len, memory_mib=8)
    answer = replica.call(bytes(9 << 20))
    assert answer.status == 413
    assert "memory" in answer.problem["detail"]
    assert replica.call(b"123").value == 3


# -- JSON


def test_json_in_and_out(replica: Replica) -> None:
    replica.specialise(lambda x, y=2: {"sum": x + y})
    answer = replica.post_json(b'{"x": 3}')
    assert (answer.status, answer.body) == (200, b'{"sum":5}')
    assert answer.headers["content-type"] == "application/json"
    assert "faas-run-ms" in answer.headers
    assert replica.post_json(b"[1, 5]").body == b'{"sum":6}'
    assert replica.post_json(b"{").status == 400
    assert replica.post_json(b'{"z": 3}').problem["code"] == "bad_request"


def test_json_error_is_a_problem_with_the_traceback(replica: Replica) -> None:
    def fail(x):
        raise ValueError(f"no {x}")

    replica.specialise(fail)
    answer = replica.post_json(b"3")
    assert answer.status == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["faas-fault"] == "user"
    assert answer.problem["detail"] == "ValueError: no 3"
    assert "raise ValueError" in answer.problem["traceback"]


def test_json_result_without_a_form_names_the_path(replica: Replica) -> None:
    replica.specialise(lambda: {"a": object()})
    answer = replica.post_json(b"")
    assert answer.status == 422
    assert answer.problem["code"] == "result_not_json"
    assert "'a'" in answer.problem["detail"]


def test_bytes_and_text_are_returned_as_they_are(replica: Replica) -> None:
    replica.specialise(lambda as_text: "grüße" if as_text else b"\0\1")
    text, data = replica.post_json(b"true"), replica.post_json(b"false")
    assert text.body.decode() == "grüße"
    assert text.headers["content-type"].startswith("text/plain")
    assert data.body == b"\0\1"
    assert data.headers["content-type"] == "application/octet-stream"


def test_json_generator_is_lines_or_events(replica: Replica) -> None:
    def items(n):
        for i in range(n):
            yield {"i": i}
        if n == 2:
            raise ValueError("late")

    replica.specialise(items)
    lines = replica.post_json(b"3")
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert lines.body == b'{"i":0}\n{"i":1}\n{"i":2}\n'
    events = replica.post_json(b"3", {"Accept": "text/event-stream"})
    assert events.body == b'data: {"i":0}\n\ndata: {"i":1}\n\ndata: {"i":2}\n\n'
    broken = replica.post_json(b"2").body.splitlines()
    assert len(broken) == 3
    assert msgspec.json.decode(broken[-1])["error"]["detail"] == "ValueError: late"
    assert replica.post_json(b"0").body == b""


def test_a_large_json_result_has_its_length(replica: Replica) -> None:
    replica.specialise(lambda n: list(range(n)))
    answer = replica.post_json(b"400000")
    assert msgspec.json.decode(answer.body) == list(range(400_000))


# -- who asks


def test_a_wrong_secret_or_revision_is_refused(replica: Replica) -> None:
    replica.specialise(lambda: 1)
    assert replica.call(headers={"Faas-Secret": "wrong"}).status == 401
    assert replica.call(headers={"Faas-Revision-Id": "other"}).status == 421
    assert replica.request("GET", "/v1/watch", {"Faas-Secret": "x"}).status == 401
    assert replica.request("GET", "/nothing").status == 404


def test_a_runner_is_specialised_once(replica: Replica) -> None:
    def one():
        return 1

    replica.specialise(one)
    replica.specialise(one)
    replica.specialise(one, max_inputs=2, expect=409)


def test_a_wrong_digest_never_reaches_the_worker(replica: Replica) -> None:
    answer = replica.specialise(b"not a package", digest="0" * 64, expect=400)
    assert "announced" in answer.problem["detail"]
    assert replica.hello()["state"] == "generic"


def test_a_load_that_fails_says_why(replica: Replica) -> None:
    class Broken:
        def __init__(self):
            raise RuntimeError("no model")

        def call(self):
            return 1

    answer = replica.specialise(Broken, expect=422)
    assert answer.problem["detail"] == "RuntimeError: no model"
    assert "raise RuntimeError" in answer.problem["traceback"]
    assert replica.hello()["state"] == "failed"
    replica.specialise(Broken, expect=422)


def test_a_load_that_takes_too_long_is_ended(replica: Replica) -> None:
    class Slow:
        def __init__(self):
            import time

            time.sleep(60)

        def call(self):
            return 1

    answer = replica.specialise(Slow, startup_timeout_s=0.2, expect=503)
    assert answer.problem["code"] == "cold_start_timeout"


def test_the_same_specialisation_waits_for_the_first(replica: Replica) -> None:
    path = Path(replica.path + ".go")

    class Slow:
        def __init__(self):
            import os
            import time

            while not os.path.exists(path):
                time.sleep(0.005)

        def call(self):
            return 1

    first = Background(lambda: replica.specialise(Slow))
    wait_until(lambda: replica.hello()["state"] == "loading")
    with closing(UnixConnection(replica.path)) as second:
        second.request("POST", "/v1/specialise", replica.told, {"Faas-Secret": SECRET})
        path.touch()
        with second.getresponse() as answer:
            assert answer.status == 200
    assert first.answer().status == 200


def test_args_travel_as_payload_of_the_codec(replica: Replica) -> None:
    replica.specialise(lambda *args, **kwargs: (args, kwargs))
    value = (1, "a", [2.5], {"k": {1, 2}})
    assert replica.call(*value, z=None).value == (value, {"z": None})
    raw = replica.request("POST", "/v1/call", replica.headers(), b"rubbish")
    assert raw.problem["code"] == "bad_request"
    assert b"".join(codec.dumps(((), {}))) != b"rubbish"


def test_inline_source_is_run_as_it_stands(replica: Replica) -> None:
    source = (
        "import json\n"
        "class Point:\n"
        "    def __init__(self, x): self.x = x\n"
        "def scaled(x, by=2):\n"
        "    print('scaling', x)\n"
        "    return json.dumps({'x': 10 // by * x})\n"
        "if __name__ == '__main__':\n"
        "    raise SystemExit('not here')\n"
    )
    package, code = inline_package(source, "scaled", f"3.{sys.version_info[1]}")
    blob = b"".join(package.parts())
    replica.specialise(blob, digest=package.digest, kind=code.kind)
    assert replica.call(3, by=5).value == '{"x": 6}'
    answer = replica.call(3, by=0)
    assert "ZeroDivisionError" in answer.problem["detail"]
    assert '"<source>", line 6, in scaled' in answer.fault["traceback"]
    assert "return json.dumps({'x': 10 // by * x})" in answer.fault["traceback"]


def test_inline_source_that_fails_says_where(replica: Replica) -> None:
    package, _ = inline_package(
        "import nowhere_to_be_found\ndef f(): ...\n", "f", f"3.{sys.version_info[1]}"
    )
    blob = b"".join(package.parts())
    answer = replica.specialise(blob, digest=package.digest, expect=422)
    assert answer.problem["exception"] == "ModuleNotFoundError"
    assert '"<source>", line 1' in answer.problem["traceback"]


def test_collecting_garbage_does_not_copy_what_the_process_was_forked_with(
    replica: Replica,
) -> None:
    def collected_kib():
        import gc

        def own_kib():
            with open("/proc/self/smaps_rollup") as lines:
                return sum(int(one.split()[1]) for one in lines if one.startswith("Private_"))

        before_kib = own_kib()
        gc.collect()
        return own_kib() - before_kib

    # Its zygote writes to what they share while it imports, and that is the worker's alone then.
    replica.zygote.preloaded(REHEARSAL)
    replica.specialise(collected_kib)
    assert replica.call().value < 1024
