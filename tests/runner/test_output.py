"""What a function prints reaches its caller: at once, in order, apart, and bounded."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import closing

import msgspec

from jupyter_faas.wire.frames import FrameKind, FrameReader
from tests.runner.harness import Replica
from tests.support import resident_mib, wait_until


def logs(answer) -> list[tuple[int, bytes]]:
    """Return (stream, text), neighbours of one stream joined."""
    joined: list[tuple[int, bytes]] = []
    for frame in answer.of(FrameKind.LOG):
        if joined and joined[-1][0] == frame.stream:
            joined[-1] = (frame.stream, joined[-1][1] + frame.body)
        else:
            joined.append((frame.stream, frame.body))
    return joined


def test_prints_come_before_the_result_and_streams_stay_apart(replica: Replica) -> None:
    def talk():
        import sys

        print("out")
        print("err", file=sys.stderr)
        sys.stdout.write("no newline\r")
        sys.stdout.buffer.write(b"\xff raw")
        return 1

    replica.specialise(talk)
    answer = replica.call()
    assert logs(answer) == [(1, b"out\n"), (2, b"err\n"), (1, b"no newline\r\xff raw")]
    kinds = [frame.kind for frame in answer.frames]
    assert kinds.index(FrameKind.RESULT) > max(
        i for i, kind in enumerate(kinds) if kind == FrameKind.LOG
    )


def test_descriptor_output_keeps_its_place_among_prints(replica: Replica) -> None:
    def mixed():
        import os
        import subprocess

        for i in range(20):
            print("python", i)
            os.write(1, b"descriptor\n")
            subprocess.run(["/bin/sh", "-c", f"echo child {i}; echo oops >&2"], check=True)

    replica.specialise(mixed)
    answer = replica.call()
    wanted = "".join(f"python {i}\ndescriptor\nchild {i}\n" for i in range(20))
    assert answer.printed(1) == wanted
    assert answer.printed(2) == "oops\n" * 20


def test_c_stdio_is_line_buffered_and_flushed_at_the_end(replica: Replica) -> None:
    def from_c():
        import ctypes

        libc = ctypes.CDLL(None)
        libc.printf(b"line\n")
        libc.printf(b"partial")

    replica.specialise(from_c)
    assert replica.call().printed() == "line\npartial"


def test_a_line_arrives_while_the_call_runs(replica: Replica) -> None:
    def ticks():
        import time

        for _ in range(5):
            print(time.monotonic(), end="\n")
            time.sleep(0.1)
        print(time.monotonic(), end="")  # partial: flushed by time
        time.sleep(0.3)

    replica.specialise(ticks)
    reader = FrameReader()
    late_s = []
    with closing(replica.begin()) as connection, connection.getresponse() as response:
        while data := response.read1(65536):
            now_s = time.monotonic()
            for frame in reader.feed(data):
                if frame.kind == FrameKind.LOG:
                    late_s.extend(now_s - float(text) for text in frame.body.split())
    assert len(late_s) == 6
    assert statistics.median(late_s) < 0.2


def test_printing_belongs_to_its_call_across_threads_and_tasks(replica: Replica) -> None:
    def many(name):
        import threading
        from concurrent.futures import ThreadPoolExecutor

        def work():
            for i in range(100):
                print(name, i)

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        with ThreadPoolExecutor(2) as pool:
            pool.submit(work).result()
        for thread in threads:
            thread.join()

    replica.specialise(many, max_inputs=4)
    calls = {name: replica.in_background(name) for name in "abc"}
    for name, call in calls.items():
        # Lines of two threads of one call may mix, as they do at home; those of two calls never.
        text = call.answer().printed()
        assert text.count(name) == text.count("\n") == 300
        assert set(text) <= set(f"{name} 0123456789\n")


def test_async_prints_belong_to_their_call(replica: Replica) -> None:
    async def many(name):
        import asyncio

        async def child():
            for i in range(50):
                print(name, i)
                await asyncio.sleep(0)

        await asyncio.gather(child(), child())

    replica.specialise(many, max_inputs=4)
    calls = {name: replica.in_background(name) for name in "abc"}
    for name, call in calls.items():
        lines = call.answer().printed().splitlines()
        assert len(lines) == 100
        assert {line.split()[0] for line in lines} == {name}


def test_what_is_printed_after_the_call_goes_to_the_watch_with_its_id(replica: Replica) -> None:
    def late():
        import threading
        import time

        def work():
            time.sleep(0.2)
            print("after")

        threading.Thread(target=work).start()
        print("during")

    replica.specialise(late)
    with closing(replica.watch()) as watch:
        answer = replica.call(headers={"Faas-Invocation-Id": "early"})
        assert answer.printed() == "during\n"
        wait_until(lambda: "after\n" in watch.lines("early"))
        assert watch.lines("early") == "during\nafter\n"


def test_what_a_package_prints_at_load_belongs_to_no_call(replica: Replica) -> None:
    class Talker:
        def __init__(self):
            print("loading")

        def call(self):
            print("calling")

    replica.specialise(Talker)
    with closing(replica.watch()) as watch:
        answer = replica.call(headers={"Faas-Method": "call", "Faas-Invocation-Id": "c"})
        assert answer.printed() == "calling\n"
        wait_until(lambda: watch.lines("c"))
        assert "loading" not in watch.lines("c")


def test_a_flood_is_bounded_everywhere_and_loses_nothing_for_its_caller(replica: Replica) -> None:
    def flood(lines):
        text = "x" * 99
        for _ in range(lines):
            print(text)

    replica.specialise(flood)
    front, worker = replica.zygote.front_pid(replica), replica.worker_pid
    before = resident_mib(front), resident_mib(worker)
    lines = 300_000
    total = 0
    with closing(replica.watch()) as watch:
        reader = FrameReader()
        with closing(replica.begin(lines)) as connection, connection.getresponse() as response:
            time.sleep(0.3)  # the reader is slow at first
            while data := response.read1(1 << 20):
                total += sum(len(f.body) for f in reader.feed(data) if f.kind == FrameKind.LOG)
        assert total == 100 * lines
        assert resident_mib(front) < before[0] + 30
        assert resident_mib(worker) < before[1] + 30
        assert watch.frames


def test_a_flood_through_the_descriptor_is_bounded(replica: Replica) -> None:
    def flood(mib):
        import os

        for _ in range(mib):
            os.write(1, b"y" * (1 << 20))

    replica.specialise(flood)
    assert len(replica.call(30).printed()) == 30 << 20


def test_one_large_print_in_a_thread_is_not_dropped(replica: Replica) -> None:
    replica.specialise(lambda n: print("z" * n), max_inputs=2)
    assert len(replica.call(20_000_000).printed()) == 20_000_001


def test_display_sends_a_mime_bundle_in_order(replica: Replica) -> None:
    def show():
        class Rich:
            def _repr_html_(self):
                return "<b>rich</b>"

        print("before")
        display(Rich())  # noqa: F821
        print("after")
        handle = display({"a": 1}, display_id=True)  # noqa: F821
        handle.update(2)

    replica.specialise(show)
    told = logs(replica.call())
    assert [stream for stream, _ in told] == [1, 3, 1, 3]
    frames = [frame for frame in replica.call().of(FrameKind.LOG) if frame.stream == 3]
    bundles = [msgspec.msgpack.decode(frame.body) for frame in frames]
    assert bundles[0]["data"]["text/html"] == "<b>rich</b>"
    assert bundles[1]["data"] == {"text/plain": "{'a': 1}"}
    assert bundles[2]["update"] is True
    assert bundles[2]["transient"] == bundles[1]["transient"]


def test_display_of_ipython_is_ours_too(replica: Replica) -> None:
    def show(data):
        from IPython.display import HTML, display

        display(HTML(data))

    replica.specialise(show)
    (frame,) = [f for f in replica.call("<i>x</i>").of(FrameKind.LOG) if f.stream == 3]
    assert msgspec.msgpack.decode(frame.body)["data"]["text/html"] == "<i>x</i>"


def test_input_raises_at_once(replica: Replica) -> None:
    replica.specialise(lambda: input("name? "))
    assert "input() cannot be answered" in replica.call().problem["detail"]


def test_a_json_caller_gets_no_prints_and_the_watch_does(replica: Replica) -> None:
    def talk():
        print("hello")
        return 1

    replica.specialise(talk)
    with closing(replica.watch()) as watch:
        assert replica.post_json(b"", {"Faas-Invocation-Id": "j"}).body == b"1"
        wait_until(lambda: watch.lines("j") == "hello\n")


def test_a_forked_child_prints_through_the_descriptor(replica: Replica) -> None:
    def fork():
        import os

        print("parent")
        pid = os.fork()
        if pid == 0:
            print("child")
            os._exit(0)
        os.waitpid(pid, 0)
        print("parent again")

    replica.specialise(fork)
    assert replica.call().printed() == "parent\nchild\nparent again\n"


def test_a_signal_handler_that_prints_is_no_deadlock(replica: Replica) -> None:
    def alarm():
        import signal
        import time

        signal.signal(signal.SIGALRM, lambda *_: print("alarm"))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            print("work")
        signal.setitimer(signal.ITIMER_REAL, 0)
        return True

    replica.specialise(alarm)
    assert replica.call().value is True


def test_crash_text_reaches_the_caller(replica: Replica) -> None:
    def crash():
        import ctypes

        ctypes.string_at(0)

    replica.specialise(crash)
    answer = replica.call()
    assert "Segmentation fault" in answer.printed(2)
    assert "SIGSEGV" in answer.problem["detail"]
    assert os.getpid()
