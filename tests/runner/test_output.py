"""What a function prints reaches its caller: at once, in order, apart, and bounded."""

from __future__ import annotations

import base64
import os
import time
from contextlib import closing
from pathlib import Path

import msgspec

from jupyter_faas.core import batch, codec
from jupyter_faas.wire.frames import CONTENT_TYPE, CRASH, STDERR, FrameKind, FrameReader
from tests.runner.harness import Replica, Watch, stopped
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


def logged(watch: Watch) -> str:
    """Return what the function's log gets."""
    frames = [frame for frame in list(watch.frames) if frame.kind == FrameKind.LOG]
    return b"".join(bytes(frame.body) for frame in frames).decode("utf-8", "replace")


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


def test_a_front_that_stands_still_mixes_up_nothing(replica: Replica) -> None:
    def mixed(path):
        import os
        import time

        while not os.path.exists(path):
            time.sleep(0.005)
        os.write(1, b"descriptor\n")
        print("python")

    replica.specialise(mixed)
    path = Path(replica.path + ".go")
    running = replica.in_background(str(path))
    wait_until(lambda: replica.hello().get("inFlight") == 1)
    with stopped(replica.zygote.front_pid(replica)):
        path.touch()
        time.sleep(0.3)  # long enough to have gone on without it
    assert running.answer().printed() == "descriptor\npython\n"


def test_a_descriptor_that_leads_elsewhere_is_not_waited_for(replica: Replica) -> None:
    def redirected():
        import os

        _read, write = os.pipe()
        kept = os.dup(1)
        os.dup2(write, 1)
        os.write(1, b"nobody reads this")
        for _ in range(100):  # 500 s, if each of them waited
            print("line")
        os.dup2(kept, 1)

    replica.specialise(redirected)
    assert replica.call().printed() == "line\n" * 100


def test_c_stdio_is_line_buffered_and_flushed_at_the_end(replica: Replica) -> None:
    def from_c():
        import ctypes

        libc = ctypes.CDLL(None)
        libc.printf(b"line\n")
        libc.printf(b"partial")

    replica.specialise(from_c)
    assert replica.call().printed() == "line\npartial"


def test_a_line_arrives_while_the_call_runs(replica: Replica) -> None:
    def steps(path):
        import os
        import time

        # The last one is no line: it is sent after a while.
        for step, end in enumerate(["\n", "\n", ""]):
            print("step", step, end=end)
            while not os.path.exists(f"{path}{step}"):
                time.sleep(0.005)

    replica.specialise(steps)
    path = replica.path + ".seen"
    reader = FrameReader()
    seen = ""
    with closing(replica.begin(path)) as connection, connection.getresponse() as response:
        while data := response.read1(65536):
            logs = [frame for frame in reader.feed(data) if frame.kind == FrameKind.LOG]
            seen += b"".join(frame.body for frame in logs).decode()
            for step in range(3):
                if f"step {step}" in seen:
                    Path(f"{path}{step}").touch()
    assert seen == "step 0\nstep 1\nstep 2"


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
    def late(path):
        import os
        import threading
        import time

        def work():
            while not os.path.exists(path):
                time.sleep(0.005)
            print("after")

        threading.Thread(target=work).start()
        print("during")

    replica.specialise(late)
    path = Path(replica.path + ".go")
    with closing(replica.watch()) as watch:
        answer = replica.call(str(path), headers={"Faas-Invocation-Id": "early"})
        assert answer.printed() == "during\n"
        path.touch()
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
        wait_until(lambda: watch.frames)


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


PYPLOT = """
from matplotlib.figure import Figure
figures = {}
def figure(number): return figures.setdefault(number, Figure(number))
def get_fignums(): return list(figures)
def close(which): figures.clear()
def show(): "What the backend without a screen does: nothing."
"""
FIGURE = """
class Figure:
    def __init__(self, number): self.number = number
    def savefig(self, target, **options): target.write(b"%d" % self.number)
"""


def test_show_of_pyplot_shows_the_figures_and_closes_them(replica: Replica, tmp_path: Path) -> None:
    package = tmp_path / "matplotlib"
    package.mkdir()
    for name, text in {"__init__": "", "pyplot": PYPLOT, "figure": FIGURE}.items():
        (package / f"{name}.py").write_text(text)

    def plot(folder):
        import importlib
        import sys

        sys.path.insert(0, folder)
        pyplot = importlib.import_module("matplotlib.pyplot")
        pyplot.figure(1), pyplot.figure(2)
        pyplot.show()
        pyplot.show(block=True)

    replica.specialise(plot)
    shown = [f for f in replica.call(str(tmp_path)).of(FrameKind.LOG) if f.stream == 3]
    pngs = [msgspec.msgpack.decode(frame.body)["data"]["image/png"] for frame in shown]
    assert [base64.b64decode(png) for png in pngs] == [b"1", b"2"]


def test_what_a_thread_of_a_call_raises_is_told_among_its_prints(replica: Replica) -> None:
    def fails():
        import threading

        def work():
            raise ValueError("in the thread")

        thread = threading.Thread(target=work, name="worker")
        thread.start()
        thread.join()

    replica.specialise(fails)
    told = replica.call().printed(2)
    assert "Exception in thread worker:" in told
    assert told.endswith("ValueError: in the thread\n")
    assert "jupyter_faas" not in told


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


def test_a_crash_is_told_by_where_it_was_and_its_dump_is_in_the_log(replica: Replica) -> None:
    def crash():
        import ctypes

        print("before", flush=True)
        ctypes.string_at(0)

    replica.specialise(crash)
    with closing(replica.watch()) as watch:
        answer = replica.call()
        assert (answer.printed(1), answer.printed(2)) == ("before\n", "")
        assert "SIGSEGV" in answer.problem["detail"]
        first, *frames = answer.problem["traceback"].splitlines()
        assert first == "Traceback (most recent call last):"
        assert [frame.rpartition(" in ")[2] for frame in frames] == ["crash", "string_at"]
        wait_until(lambda: "Fatal Python error: Segmentation fault" in logged(watch))


def test_of_a_chunk_the_dump_of_a_crash_is_in_the_answer_too(replica: Replica) -> None:
    def crash():
        import ctypes

        ctypes.string_at(0)

    replica.specialise(crash)
    arguments = b"".join(codec.dumps_call((), {}))
    body = b"".join(batch.pack(batch.Head([0], bytes(1), [len(arguments)]), [arguments]))
    headers = replica.headers(Content_Type=batch.CONTENT_TYPE, Accept=CONTENT_TYPE)
    answer = replica.request("POST", "/v1/call", headers, body)
    assert answer.problem["code"] == "replica_lost"
    assert "Fatal Python error: Segmentation fault" in answer.printed(CRASH)
    assert answer.printed(STDERR) == "", "the caller is told where it was"


def test_a_childs_crash_is_told_by_what_it_writes(replica: Replica) -> None:
    def crash():
        import ctypes
        import os

        pid = os.fork()
        if pid == 0:
            ctypes.string_at(0)
        os.waitpid(pid, 0)
        os._exit(3)

    replica.specialise(crash)
    answer = replica.call()
    assert "Segmentation fault" in answer.printed(2)
    assert "exited with code 3" in answer.problem["detail"]
    assert "traceback" not in answer.problem
    assert os.getpid()
