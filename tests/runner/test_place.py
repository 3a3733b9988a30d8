"""Where user code finds itself: directory, path, variables, memory, randomness, preloading."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jupyter_faas.core.model import Place
from jupyter_faas.runner.preload import REHEARSAL
from tests.runner.harness import Zygote, running_zygote
from tests.support import free_ports, state_dir, wait_until


def place(cwd: str, *more_path: str) -> Place:
    return Place(
        interpreter=sys.executable,
        cwd=cwd,
        sys_path=(*more_path, *sys.path),
        environ={"PATH": os.environ["PATH"], "HOME": "/tmp"},
    )


def test_directory_path_and_variables_are_the_notebooks(zygote: Zygote) -> None:
    def look():
        import importlib
        import os

        beside = importlib.import_module(os.environ["MODULE"])
        with open("data.txt") as file:
            return file.read(), beside.VALUE, os.environ["MINE"], "LANG_OF_ZYGOTE" in os.environ

    with state_dir() as path:
        (path / "data.txt").write_text("data")
        (path / "beside.py").write_text("VALUE = 42")
        replica = zygote.replica()
        env = {"MINE": "yes", "MODULE": "beside"}
        replica.specialise(look, place=place(str(path), str(path)), env=env)
        assert replica.call().value == ("data", 42, "yes", False)


def test_a_missing_directory_is_a_clear_problem(zygote: Zygote) -> None:
    replica = zygote.replica()
    answer = replica.specialise(lambda: 1, place=place("/nowhere/at/all"), expect=422)
    assert answer.problem["code"] == "invalid_spec"
    assert "/nowhere/at/all" in answer.problem["detail"]


def test_ten_replicas_draw_ten_different_numbers(own_zygote: Zygote) -> None:
    def draw():
        import random

        import numpy as np

        return random.random(), float(np.random.random())

    own_zygote.send(op="preload", modules=["numpy"])
    assert own_zygote.preloaded("numpy")["ok"]
    drawn = []
    for _ in range(10):
        replica = own_zygote.replica()
        replica.specialise(draw)
        drawn.append(replica.call().value)
    assert len({a for a, _ in drawn}) == 10
    assert len({b for _, b in drawn}) == 10


def test_a_module_that_starts_threads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    start = "threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
    with state_dir() as path:
        (path / "threads_at_import.py").write_text(f"import threading, time\n{start}")
        (path / "breaks_at_import.py").write_text("1 / 0")
        monkeypatch.setenv("PYTHONPATH", str(path))
        for zygote in running_zygote(path, "--preload", "threads_at_import,breaks_at_import"):
            refused = zygote.preloaded("threads_at_import")
            broken = zygote.preloaded("breaks_at_import")
            assert (refused["ok"], broken["ok"]) == (False, False)
            assert "starts threads" in refused["detail"]
            assert "ZeroDivisionError" in broken["detail"]
            assert len(os.listdir(f"/proc/{zygote.pid}/task")) == 1


def test_preloading_waits_for_quiet_and_is_told(own_zygote: Zygote) -> None:
    own_zygote.send(op="preload", modules=["wave", "no_such_module_anywhere"])
    assert own_zygote.preloaded("wave")["ok"]
    missing = own_zygote.preloaded("no_such_module_anywhere")
    assert "ModuleNotFoundError" in missing["detail"]
    replica = own_zygote.replica()
    replica.specialise(lambda: "wave" in __import__("sys").modules)
    assert replica.call().value is True


def test_thread_limits_of_the_zygote_do_not_reach_the_function(zygote: Zygote) -> None:
    replica = zygote.replica()
    replica.specialise(lambda: __import__("os").environ.get("OPENBLAS_NUM_THREADS"))
    assert replica.call().value is None


def test_a_preloaded_numpy_computes_on_every_core_again(own_zygote: Zygote) -> None:
    def threads():
        import os

        import numpy as np

        a = np.ones((400, 400))
        assert (a @ a)[0, 0] == 400
        return len(os.listdir("/proc/self/task"))

    own_zygote.send(op="preload", modules=["numpy"])
    assert own_zygote.preloaded("numpy")["ok"]
    replica = own_zygote.replica()
    replica.specialise(threads)
    assert replica.call().value == len(os.sched_getaffinity(0))


LISTEN_AND_COLLECT = """
import asyncio, gc, os, socket, sys, uvloop
from jupyter_faas.runner.front import Front
loop = uvloop.new_event_loop()
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
front = Front(loop, ours, None)
loop.run_until_complete(front.listen(f"unix:{sys.argv[1]}"))
gc.collect()
loop.run_until_complete(asyncio.sleep(0.01))
with socket.socket(socket.AF_UNIX) as caller:
    caller.connect(sys.argv[1])
os._exit(0)
"""


def test_a_front_keeps_its_listener_from_the_garbage_collector() -> None:
    with state_dir() as path:
        told = (sys.executable, "-c", LISTEN_AND_COLLECT, str(path / "front.sock"))
        done = subprocess.run(told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_memory_is_limited(zygote: Zygote) -> None:
    replica = zygote.replica()
    replica.specialise(lambda n: len(bytes(n << 20)), memory_mib=128)
    assert replica.call(64).value == 64 << 20
    assert replica.call(1000).problem["reason"] == "out_of_memory"
    assert replica.call(64).value == 64 << 20


def test_a_pod_serves_one_replica_over_tcp_and_drains_on_sigterm() -> None:
    import http.client
    import re
    import signal
    import subprocess

    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_faas.runner", "serve", "--listen", f"127.0.0.1:{port}"],
        stdin=subprocess.DEVNULL,
    )
    try:

        def hello() -> bytes:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request("GET", "/v1/runner")
                return connection.getresponse().read()
            except OSError:
                return b""
            finally:
                connection.close()

        assert re.search(rb'"state":"generic"', wait_until(hello, 30.0))
        process.send_signal(signal.SIGTERM)
        assert process.wait(20.0) == 0
    finally:
        process.kill()
        process.wait()


def test_no_descriptor_is_left_in_the_zygote(own_zygote: Zygote) -> None:
    own_zygote.preloaded(REHEARSAL)  # it opens files of its own

    def fds() -> int:
        return len(os.listdir(f"/proc/{own_zygote.pid}/fd"))

    def one() -> None:
        replica = own_zygote.replica()
        replica.specialise(lambda: 1)
        own_zygote.send(op="stop", id=replica.name, grace_s=0)
        own_zygote.wait_event("gone", id=replica.name)

    one()
    before = fds()
    for _ in range(20):
        one()
    # It looks for orphans after it has told of an end, and has a folder open while it does.
    wait_until(lambda: fds() <= before, what="as many as before", seen=fds)
