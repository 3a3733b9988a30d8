"""Workers that die, and what is left behind whoever is killed: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.runner.harness import Replica, Zygote, stopped
from tests.support import descendants, is_alive, wait_until


def test_a_worker_that_exits_is_told_and_replaced(replica: Replica) -> None:
    def leave(code):
        import os

        if code:
            os._exit(code)
        return "here"

    replica.specialise(leave)
    with closing(replica.watch()) as watch:
        answer = replica.call(7)
        assert answer.problem["code"] == "replica_lost"
        assert answer.problem["reason"] == "crashed"
        assert "exited with code 7" in answer.problem["detail"]
        assert answer.end.outcome == "lost"
        replica.becomes("ready")
        assert replica.call(0).value == "here"
        wait_until(lambda: watch.states()[-1:] == ["ready"] and "loading" in watch.states())


@pytest.mark.parametrize(
    ("signum", "name"), [(signal.SIGSEGV, "SIGSEGV"), (signal.SIGKILL, "SIGKILL")]
)
def test_a_signal_is_named(replica: Replica, signum: int, name: str) -> None:
    def die(signum):
        import os

        os.kill(os.getpid(), signum)

    replica.specialise(die)
    answer = replica.call(int(signum))
    assert name in answer.problem["detail"]


def test_a_json_caller_gets_502(replica: Replica) -> None:
    def leave():
        import os

        os._exit(1)

    replica.specialise(leave)
    answer = replica.post_json(b"")
    assert answer.status == 502
    assert answer.problem["code"] == "replica_lost"


def test_a_stream_whose_worker_dies_never_looks_complete(replica: Replica) -> None:
    def half():
        import os

        yield 1
        os._exit(1)

    replica.specialise(half)
    answer = replica.call()
    assert answer.items == [1]
    assert answer.problem["code"] == "replica_lost"
    replica.becomes("ready")
    lines = replica.post_json(b"").body.splitlines()
    assert b'"error"' in lines[-1]


def test_an_idempotent_call_is_run_again(replica: Replica) -> None:
    def once(path):
        import os

        if not os.path.exists(path):
            Path(path).write_text("")
            os._exit(1)
        return "second"

    replica.specialise(once, idempotent=True)
    assert replica.call(replica.path + ".mark").value == "second"


def test_memory_that_makes_the_worker_die_is_out_of_memory(replica: Replica) -> None:
    def die():
        import os
        import sys

        sys.stderr.write("")
        os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
        os.abort()

    replica.specialise(die)
    assert replica.call().problem["reason"] == "out_of_memory"


def test_a_forked_child_that_comes_back_does_not_answer(replica: Replica) -> None:
    def fork():
        import os

        pid = os.fork()
        if pid == 0:
            return "child"
        _, status = os.waitpid(pid, 0)
        return "parent", status

    replica.specialise(fork)
    for _ in range(3):
        assert replica.call().value == ("parent", 0)


def test_a_forked_child_keeps_its_exit_code(replica: Replica) -> None:
    def fork():
        import os
        import sys

        pid = os.fork()
        if pid == 0:
            sys.exit(5)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    replica.specialise(fork, max_inputs=2)
    assert replica.call().value == 5


def test_multiprocessing_works_in_a_function(replica: Replica) -> None:
    def total():
        import multiprocessing

        with multiprocessing.get_context("fork").Pool(2) as pool:
            return sum(pool.map(abs, range(-10, 0)))

    replica.specialise(total)
    assert replica.call().value == 55


def test_exec_is_a_lost_worker(replica: Replica) -> None:
    def become():
        import os

        os.execv("/bin/sleep", ["sleep", "60"])

    replica.specialise(become)
    pid = replica.worker_pid
    assert replica.call().problem["code"] == "replica_lost"
    wait_until(lambda: not is_alive(pid))


def spawn_daemon():
    """Leave a process behind that has a session of its own and whose parent is gone."""
    import os
    import subprocess

    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        child = subprocess.Popen(["/bin/sleep", "300"], start_new_session=True)
        os.write(write, str(child.pid).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    plain = subprocess.Popen(["/bin/sleep", "300"])
    return [int(os.read(read, 20)), plain.pid]


def test_what_a_worker_leaves_behind_ends_with_it(replica: Replica) -> None:
    replica.specialise(spawn_daemon)
    left = replica.call().value
    other = replica.zygote.replica()
    other.specialise(spawn_daemon)
    theirs = other.call().value
    assert all(map(is_alive, left))
    os.kill(replica.worker_pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, left)))
    assert all(map(is_alive, theirs)), "another worker's processes were ended"
    other.zygote.send(op="stop", id=other.name, grace_s=0)
    wait_until(lambda: not any(map(is_alive, theirs)))


@pytest.mark.parametrize("victim", ["front", "zygote", "control"])
def test_nothing_is_left_behind_whoever_is_killed(own_zygote: Zygote, victim: str) -> None:
    replica = own_zygote.replica()
    replica.specialise(spawn_daemon)
    left = replica.call().value
    worker, front = replica.worker_pid, own_zygote.front_pid(replica)
    family = [worker, front, *left, *descendants(own_zygote.pid)]
    assert all(map(is_alive, family))
    if victim == "control":
        own_zygote.control.close()
        own_zygote.process.wait(20.0)
    else:
        os.kill({"front": front, "zygote": own_zygote.pid}[victim], signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, family)))
    if victim == "front":
        gone = own_zygote.wait_event("gone", id=replica.name)
        assert gone["reason"] == "crashed"
        assert "SIGKILL" in gone["detail"]
        assert own_zygote.replica().hello()["state"] == "generic"


def test_zygote_and_front_killed_together_leave_nothing(own_zygote: Zygote) -> None:
    def spin(path):
        import re

        Path(path).write_text("")
        re.match("(a+)+$", "a" * 64 + "b")  # holds the GIL for ages

    replica = own_zygote.replica()
    replica.specialise(spin)
    path = Path(replica.path + ".mark")
    with closing(replica.begin(str(path))):
        wait_until(path.exists)
        worker, front = replica.worker_pid, own_zygote.front_pid(replica)
        os.kill(own_zygote.pid, signal.SIGSTOP)
        os.kill(front, signal.SIGKILL)
        os.kill(own_zygote.pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(worker) and not is_alive(front))


def test_a_crash_while_loading_is_told_to_the_gateway(replica: Replica) -> None:
    class Broken:
        def __init__(self):
            import os

            os._exit(3)

        def call(self):
            return 1

    answer = replica.specialise(Broken, expect=502)
    assert "exited with code 3" in answer.problem["detail"]
    assert "loading" in answer.problem["detail"]


def test_a_worker_that_cannot_be_loaded_again_ends_the_replica(own_zygote: Zygote) -> None:
    replica = own_zygote.replica()
    replica.specialise(counted(replica.path + ".count", "live", "die"))
    replica.call(headers={"Faas-Method": "die"})
    gone = own_zygote.wait_event("gone", id=replica.name)
    assert gone["reason"] == "crashed"
    assert "exited with code 4" in gone["detail"]


def test_a_stopped_replica_says_so_once(own_zygote: Zygote) -> None:
    replica = own_zygote.replica()
    own_zygote.send(op="stop", id=replica.name, grace_s=5)
    own_zygote.send(op="stop", id="unknown", grace_s=5)
    gone = own_zygote.wait_event("gone", id=replica.name)
    assert gone["reason"] == "stopped"
    assert not Path(replica.path).exists()
    assert len([event for event in own_zygote.events if event["ev"] == "gone"]) == 1


def test_no_event_is_lost_while_the_provider_does_not_read(terse_zygote: Zygote) -> None:
    def has_worker(name: str, path: Path) -> bool:
        try:
            return bool(Replica(terse_zygote, name, str(path)).worker_pid)
        except (FileNotFoundError, ConnectionRefusedError):  # not there, or bound and not listening
            return False

    names = [f"r{number}" for number in range(12)]
    paths = [terse_zygote.run_dir / f"{name}.sock" for name in names]
    for name, path in zip(names, paths, strict=True):
        terse_zygote.send(op="replica", id=name, socket=str(path))
    for name, path in zip(names, paths, strict=True):
        wait_until(partial(has_worker, name, path), what=f"{name} has a worker")
        terse_zygote.send(op="stop", id=name, grace_s=0)
    wait_until(lambda: not any(path.exists() for path in paths), what="all have ended")
    for name in names:
        assert terse_zygote.wait_event("started", id=name)["pid"]
        assert terse_zygote.wait_event("gone", id=name)["reason"] == "stopped"


def test_a_drain_waits_for_the_call_and_takes_nothing_new(replica: Replica) -> None:
    def wait(path):
        import os
        import time

        while not os.path.exists(path):
            time.sleep(0.005)
        return "done"

    replica.specialise(wait)
    path = Path(replica.path + ".go")
    running = replica.in_background(str(path))
    wait_until(lambda: replica.hello().get("inFlight") == 1)
    replica.zygote.send(op="stop", id=replica.name, grace_s=30)
    replica.becomes("draining")
    refused = replica.call(str(path))
    assert refused.status == 503
    assert refused.headers["faas-busy"] == "1"
    path.touch()
    assert running.answer().value == "done"
    assert replica.zygote.wait_event("gone", id=replica.name)["reason"] == "stopped"


def test_what_is_on_its_way_to_an_idle_replica_that_drains_is_refused_and_not_cut(
    replica: Replica,
) -> None:
    replica.specialise(lambda x: x)
    assert replica.call(1).value == 1
    front = replica.zygote.front_pid(replica)
    with stopped(front):
        replica.zygote.send(op="stop", id=replica.name, grace_s=30)
        wait_until(lambda: is_pending(front, signal.SIGTERM))
        connection = replica.begin(2)
    with closing(connection), connection.getresponse() as answer:
        assert answer.status == 503
        assert answer.getheader("Faas-Busy") == "1"
    assert replica.zygote.wait_event("gone", id=replica.name)["reason"] == "stopped"


def test_a_drain_longer_than_its_grace_is_cut(replica: Replica) -> None:
    def wait():
        import time

        time.sleep(60)

    replica.specialise(wait)
    began_s = time.monotonic()
    with closing(replica.begin()):
        wait_until(lambda: replica.hello().get("inFlight") == 1)
        replica.zygote.send(op="stop", id=replica.name, grace_s=0.2)
        replica.zygote.wait_event("gone", id=replica.name)
    assert time.monotonic() - began_s < 20.0


def is_pending(pid: int, signum: signal.Signals) -> bool:
    """Return whether a signal has been sent to a process that has not taken it yet."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    sets = [int(line.split()[1], 16) for line in lines if line.startswith(("ShdPnd", "SigPnd"))]
    return any(one >> (signum - 1) & 1 for one in sets)


def counted(path, *outcomes):
    """Return a class whose n-th instance does what the n-th outcome says."""

    class Counted:
        def __init__(self):
            import os

            with open(path, "a") as file:
                file.write("x")
            with open(path) as file:
                outcome = outcomes[min(len(file.read()), len(outcomes)) - 1]
            if outcome == "die":
                os._exit(4)
            if outcome == "raise":
                raise RuntimeError("not again")

        def die(self):
            import os

            os._exit(1)

        def live(self):
            return "alive"

    return Counted


def test_a_worker_lost_while_it_was_loaded_again_is_replaced_once_more(replica: Replica) -> None:
    target = counted(replica.path + ".count", "live", "die", "live")
    replica.specialise(target, startup_timeout_s=6.0)
    replica.call(headers={"Faas-Method": "die"})
    replica.becomes("ready")
    ready_s = time.monotonic()
    with closing(replica.watch()) as watch:
        # The start-up time of the worker that was lost must not end the one that took its place.
        wait_until(lambda: time.monotonic() - ready_s > 6.2)
        assert watch.states() == ["ready"]
    assert replica.call(headers={"Faas-Method": "live"}).value == "alive"


def test_a_package_that_cannot_be_loaded_again_ends_the_replica(own_zygote: Zygote) -> None:
    replica = own_zygote.replica()
    replica.specialise(counted(replica.path + ".count", "live", "raise"))
    replica.call(headers={"Faas-Method": "die"})
    gone = own_zygote.wait_event("gone", id=replica.name)
    assert "not again" in gone["detail"]


def test_calls_that_had_to_be_killed_are_no_crash_loop(replica: Replica) -> None:
    def stubborn():
        import time

        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                continue

    replica.specialise(stubborn, timeout_s=0.02, grace_s=0.02)
    for _ in range(25):
        wait_until(lambda: replica.hello()["state"] == "ready")
        assert replica.call().problem["code"] == "timeout"
    replica.becomes("ready")


FORKED_AND_SIGNALLED = """
import os, signal, socket
from jupyter_faas.runner.forking import fork, forked

ours, wake = socket.socketpair()
for one in (ours, wake):
    one.setblocking(False)
signal.set_wakeup_fd(wake.fileno())
signal.signal(signal.SIGTERM, lambda *_: None)
read, write = os.pipe()
pid = fork()
if pid == 0:
    os.read(read, 1)
    forked()
    os._exit(0)
os.kill(pid, signal.SIGTERM)
os.write(write, b"x")
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
try:
    print("and this one was told of", ours.recv(9))
except BlockingIOError:
    pass
"""


def test_a_signal_to_a_child_that_was_just_forked_is_its_own() -> None:
    told = (sys.executable, "-c", FORKED_AND_SIGNALLED)
    done = subprocess.run(told, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == [str(-signal.SIGTERM), ""]
