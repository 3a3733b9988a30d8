"""Spares that have rehearsed: readier than others, and otherwise just like them."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from jupyter_faas.core.specialisation import Specialisation
from jupyter_faas.runner.channel import CLOSE, LOAD, Channel
from jupyter_faas.runner.preload import REHEARSAL
from jupyter_faas.runner.rehearsal import rehearse, write_script
from jupyter_faas.wire.frames import Frame, FrameKind
from tests.runner.harness import Replica, Zygote
from tests.runner.pods import Pod, pod, told
from tests.support import children, is_alive, wait_until


@pytest.fixture
def spares(own_zygote: Zygote) -> tuple[Replica, Replica]:
    own_zygote.preloaded(REHEARSAL)
    return own_zygote.replica(is_spare=True), own_zygote.replica(is_spare=True)


def test_a_script_goes_from_load_to_close() -> None:
    kinds: list[int] = []

    def become(channel: Channel, load: Frame) -> Callable[[], int]:
        kinds.append(load.kind)

        def serve() -> int:
            while (frame := channel.receive()) is not None and frame.kind != CLOSE:
                kinds.append(frame.kind)
            return 0

        return serve

    rehearse(write_script(), become)
    assert kinds == [LOAD, FrameKind.CALL, FrameKind.CALL]


def test_a_failed_rehearsal_is_only_a_failed_rehearsal() -> None:
    rehearse(write_script(), lambda channel, load: None)


def test_what_was_rehearsed_leaves_no_trace(spares: tuple[Replica, Replica]) -> None:
    def look():
        import os

        import __main__

        return sorted(vars(__main__)), os.getcwd(), os.environ.get("OPENBLAS_NUM_THREADS")

    replica = spares[0]
    replica.specialise(look)
    with closing(replica.watch()) as watch:
        names, cwd, threads = replica.call().value
        assert watch.lines() == ""
    assert "rehearsed" not in names
    assert (cwd, threads) == (os.getcwd(), None)
    assert replica.hello().get("inFlight", 0) == 0


def test_spares_that_have_rehearsed_draw_different_numbers(
    spares: tuple[Replica, Replica],
) -> None:
    def draw():
        return random.random()

    for replica in spares:
        replica.specialise(draw)
    assert len({replica.call().value for replica in spares}) == 2


def test_memory_is_limited_as_the_function_says_not_as_rehearsed(
    spares: tuple[Replica, Replica],
) -> None:
    small, large = spares
    small.specialise(lambda: len(bytearray(200 << 20)), memory_mib=100)
    large.specialise(lambda: len(bytearray(700 << 20)), memory_mib=900)
    assert small.call().problem["reason"] == "out_of_memory"
    assert large.call().value == 700 << 20


def test_a_script_holds_no_library_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    seen: list[Specialisation] = []

    def become(channel: Channel, load: Frame) -> None:
        from jupyter_faas.runner.payload import open_body
        from jupyter_faas.runner.worker import _SPECIALISATIONS

        seen.append(_SPECIALISATIONS.decode(open_body(channel, load)[0]))

    rehearse(write_script(), become)
    assert seen[0].place is not None
    assert "OMP_NUM_THREADS" not in seen[0].place.environ
    assert Path(seen[0].place.cwd) == Path.cwd()


# -- the one replica of a pod


def _loaded_modules() -> list[str]:
    import sys

    return sorted(sys.modules)


WAITS = """
import os, time
while not os.path.exists(__file__ + ".go"):
    time.sleep(0.005)
"""


class Preload:
    """A module that is imported when the test says so, and pods that preload it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "waits_for_its_go.py"
        self._path.write_text(WAITS)

    def pod(self) -> AbstractContextManager[Pod]:
        return pod("pod-1", preload=self._path.stem, PYTHONPATH=str(self._path.parent))

    def go(self) -> None:
        Path(f"{self._path}.go").touch()

    def is_in(self, modules: bytes) -> bool:
        return f'"{self._path.stem}"'.encode() in modules


@pytest.fixture
def preload(tmp_path: Path) -> Preload:
    return Preload(tmp_path)


def test_the_worker_of_a_pod_makes_room_for_one_that_has_rehearsed_and_knows_the_preload(
    preload: Preload,
):
    with preload.pod() as made:
        first = wait_until(lambda: made.hello().get("workerPid"))
        preload.go()
        second = wait_until(lambda: _another(made.hello().get("workerPid"), first))
        wait_until(lambda: not is_alive(first), what="the first worker has ended")
        head, blob = told(_loaded_modules, "s" * 32)
        assert made.send(made.seal(head), blob).status == 200
        assert preload.is_in(made.call("s" * 32).body)
        assert made.hello("s" * 32)["workerPid"] == second


def test_a_pod_that_is_taken_before_keeps_its_worker_and_imports_nothing_more(preload: Preload):
    with preload.pod() as made:
        first = wait_until(lambda: made.hello().get("workerPid"))
        trial = wait_until(lambda: _trial_beside(first), what="the module is tried")
        head, blob = told(_loaded_modules, "s" * 32)
        assert made.send(made.seal(head), blob).status == 200
        wait_until(lambda: not is_alive(trial), what="the zygote has heard of it")
        preload.go()
        assert made.hello("s" * 32)["workerPid"] == first
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: _another(made.hello("s" * 32).get("workerPid"), first))
        wait_until(lambda: made.hello("s" * 32)["state"] == "ready")
        assert not preload.is_in(made.call("s" * 32).body)


def _trial_beside(worker: int) -> int | None:
    """Return the child in which the zygote of a worker tries a module: it keeps its name."""
    status = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
    others = [pid for pid in children(int(status[1])) if pid != worker]
    return next((pid for pid in others if _name(pid) == "faas-zygote"), None)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _another(pid: int | None, than: int) -> int | None:
    return pid if pid and pid != than else None
