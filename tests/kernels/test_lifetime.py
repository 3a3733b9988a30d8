"""What ends with what: kernels with their server, and with nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import AsyncKernelManager, KernelManager

from jupyter_faas.kernels import process
from jupyter_faas.kernels.nursery import _close as atexit_of_nursery
from jupyter_faas.kernels.nursery import nursery
from tests.kernels.harness import SERVERLESS, Server, evaluate, is_forked, kernel
from tests.notebook.kernel import Kernel
from tests.support import children, is_alive, state_dir, untraced, wait_until

# A Jupyter server takes its time on a busy machine.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def zygote_of(running: Kernel) -> int:
    """Return the parent of a forked kernel; of one that was started plainly it is this process."""
    zygote = int(evaluate(running, "__import__('os').getppid()"))
    assert zygote in nursery().pids(), "not forked"
    return zygote


def test_a_kernel_goes_on_when_its_zygote_is_killed() -> None:
    with kernel() as running:
        running.run("x = 41")
        zygote = zygote_of(running)
        os.kill(zygote, signal.SIGKILL)
        wait_until(lambda: not is_alive(zygote))
        assert running.value("x + 1") == "42"
        cell = running.start("import time; print('ready', flush=True); time.sleep(60)")
        wait_until(lambda: bool(running.collect(30)) and "ready" in running.text(cell))
        running.run_interrupt(cell)
        running.restart()
        assert is_forked(running)
        assert zygote_of(running) != zygote


def test_an_orphan_of_a_killed_zygote_is_known_to_have_ended() -> None:
    with kernel() as running:
        os.kill(zygote_of(running), signal.SIGKILL)
        running.client.execute("import os; os._exit(3)")
        wait_until(lambda: not running.is_alive())


def test_a_zygote_that_hangs_is_replaced_and_the_kernel_started_plainly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with kernel() as running:
        zygote = zygote_of(running)
        os.kill(zygote, signal.SIGSTOP)
        with monkeypatch.context() as impatient:
            impatient.setattr("jupyter_faas.kernels.process.FORK_S", 0.2)
            running.restart()
        assert not is_forked(running)
        assert "has not answered within" in caplog.text
        wait_until(lambda: not is_alive(zygote))
        running.restart()
        assert is_forked(running)


@pytest.mark.parametrize("change", ["install", "remove"])
def test_a_zygote_is_replaced_when_a_package_is_installed_or_removed(
    change: str, tmp_path: Path
) -> None:
    (tmp_path / "old-1.0.dist-info").mkdir()
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with kernel(env=environ) as before, kernel(env=environ) as beside:
        zygote = zygote_of(before)
        assert zygote_of(beside) == zygote
        if change == "install":
            (tmp_path / "new-1.0.dist-info").mkdir()
        else:
            (tmp_path / "old-1.0.dist-info").rmdir()
        with kernel(env=environ) as after:
            assert is_forked(after)
            assert zygote_of(after) != zygote
        assert before.value("1 + 1") == "2"
        assert is_alive(zygote)
    wait_until(lambda: not is_alive(zygote))


def test_zygotes_of_many_environments_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_faas.kernels.nursery.MAX_ZYGOTES", 2)
    with kernel(env={**os.environ, "IPYTHON_X": "1"}) as first:
        zygote = zygote_of(first)
        for number in "23":
            with kernel(env={**os.environ, "IPYTHON_X": number}) as other:
                assert is_forked(other)
        assert zygote not in nursery().pids()
        assert first.value("1 + 1") == "2"


@pytest.mark.parametrize(
    ("launch", "why"),
    [
        ({"independent": True}, "independent is asked for"),
        ({"env": {**os.environ, "PYTHONPATH": "lib"}}, "PYTHONPATH has an entry"),
    ],
)
def test_a_kernel_that_cannot_be_forked_is_started_plainly_and_says_why(
    launch: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with kernel(**launch) as running:
        assert not is_forked(running)
        assert evaluate(running, "get_ipython().find_line_magic('faas') is not None")
        reply = running.client.kernel_info(reply=True, timeout=30)
    assert why in reply["content"]["banner"]
    assert why in caplog.text


def test_a_zygote_that_cannot_start_is_told_with_its_last_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "msgspec.py").write_text("raise ImportError('msgspec is broken here')")
    with untraced(), kernel(env={**os.environ, "PYTHONPATH": str(tmp_path)}) as running:
        assert not is_forked(running)
        assert running.value("1 + 1") == "2"
    assert "msgspec is broken here" in caplog.text


def test_an_environment_that_starts_threads_is_not_forked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with untraced():
        environ.pop("COVERAGE_PROCESS_CONFIG", None)
        with kernel(env=environ) as running:
            assert not is_forked(running)
    assert "starts threads" in caplog.text


def test_a_process_that_is_forked_from_the_server_takes_no_zygote_along() -> None:
    with kernel() as running:
        zygote = zygote_of(running)
        pid = os.fork()
        if pid == 0:
            atexit_of_nursery()
            os._exit(0)
        os.waitpid(pid, 0)
        assert is_alive(zygote)
        assert zygote in nursery().pids()


def forked() -> list[int]:
    """Return the kernels that zygotes have forked."""
    return [pid for zygote in nursery().pids() for pid in children(zygote)]


async def test_a_start_that_is_given_up_leaves_no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_faas.kernels.process.BOUND", b"never")
    running = AsyncKernelManager(kernel_name=SERVERLESS)
    starting = asyncio.ensure_future(running.start_kernel())
    await asyncio.to_thread(wait_until, forked, 60)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    wait_until(lambda: not forked())
    await running.cleanup_resources()


async def test_a_start_that_is_given_up_as_its_kernel_says_that_it_starts_leaves_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readable = process._readable

    async def given_up(link: socket.socket) -> None:
        await readable(link)
        raise asyncio.CancelledError

    monkeypatch.setattr(process, "_readable", given_up)
    running = AsyncKernelManager(kernel_name=SERVERLESS)
    with pytest.raises(asyncio.CancelledError):
        await running.start_kernel()
    wait_until(lambda: not forked())
    await running.cleanup_resources()


def test_an_interpreter_that_is_not_there_fails_as_it_does_plainly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = KernelManager(kernel_name=SERVERLESS)
    assert running.kernel_spec is not None
    running.kernel_spec.argv[0] = "/no/such/python"
    with pytest.raises(FileNotFoundError):
        running.start_kernel()
    assert "its zygote cannot be started" in caplog.text
    running.cleanup_resources()


def test_a_directory_that_is_not_there_fails_as_it_does_plainly(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), kernel(cwd=str(tmp_path / "none")):
        pass


# -- a real Jupyter server


@contextlib.contextmanager
def jupyter_server() -> Iterator[Server]:
    with state_dir() as directory, untraced():
        running = Server(directory, dict(os.environ))
        try:
            yield running
        finally:
            running.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that the tests share which leave it alive."""
    with jupyter_server() as running:
        yield running


class Found:
    """A kernel of a Jupyter server and its processes."""

    def __init__(self, server: Server) -> None:
        self.id = server.ask("POST", "kernels", {"name": SERVERLESS})["id"]
        client = BlockingKernelClient()
        client.load_connection_file(str(server.connection(self.id)))
        client.start_channels()
        self.client = client
        self.wait_for_ready()
        asked = {"p": "[__import__('os').getpid(), __import__('os').getppid()]"}
        content = self.reply_to(client.execute("", user_expressions=asked))
        text = content["user_expressions"]["p"]["data"]["text/plain"]
        self.pid, self.zygote = json.loads(text)

    def wait_for_ready(self) -> None:
        """Wait until it answers.

        Who knows no process goes by the heartbeat: a kernel that stands still for a second, or is
        just starting again, is taken for dead (`RuntimeError`), and answers a moment later.
        """

        def is_ready() -> bool:
            with contextlib.suppress(RuntimeError):
                self.client.wait_for_ready(timeout=60)
                return True
            return False

        wait_until(is_ready, 60)

    def reply_to(self, request: str) -> dict[str, Any]:
        """Return what a request is answered; a slow kernel was asked more than once who it is."""
        while True:
            message = self.client.get_shell_msg(timeout=30)
            if message["parent_header"].get("msg_id") == request:
                return dict(message["content"])


def test_kernels_and_zygote_end_with_a_server_that_is_killed() -> None:
    with jupyter_server() as server:
        one, other = Found(server), Found(server)
        assert one.zygote == other.zygote
        assert one.zygote in children(server.process.pid)
        other.client.execute("while True: pass")
        server.close()
        pids = (one.pid, other.pid, one.zygote)
        wait_until(lambda: not any(is_alive(pid) for pid in pids))
    for found in (one, other):
        found.client.stop_channels()


def test_a_server_that_is_told_to_end_leaves_nothing() -> None:
    with jupyter_server() as server:
        found = Found(server)
        found.client.stop_channels()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(timeout=30)
        wait_until(lambda: not is_alive(found.pid) and not is_alive(found.zygote))
        assert "Traceback" not in server.log()


BUSY = "print('begun', flush=True); sum(range(10**11))"
"""The sum lets no other thread run: flushing waits for the one that tells of the cell's begin."""
MANAGER = """
import os, sys
from jupyter_client.manager import KernelManager
running = KernelManager(kernel_name="python3-serverless")
running.start_kernel()
client = running.blocking_client()
client.start_channels()
client.wait_for_ready(timeout=30)
client.execute(sys.argv[1])
while client.get_iopub_msg(timeout=30)["msg_type"] != "execute_input":
    pass
print(running.provisioner.pid, *__import__("jupyter_faas.kernels.nursery").kernels.nursery.nursery()
      .pids(), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("code", "killed"),
    [
        ("", "the zygote too"),
        (BUSY, "it alone"),
    ],
)
def test_a_kernel_ends_with_whatever_process_started_it(code: str, killed: str) -> None:
    """Without its zygote by itself; also when its threads get no turn, if the zygote lives."""
    with untraced():
        process = subprocess.Popen(
            [sys.executable, "-c", MANAGER, code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    with process:
        assert process.stdout is not None
        pid, zygote = map(int, process.stdout.readline().split())
        if killed == "the zygote too":
            os.kill(zygote, signal.SIGKILL)
        process.kill()
    wait_until(lambda: not is_alive(pid) and not is_alive(zygote))


def test_a_server_interrupts_restarts_and_deletes_a_kernel(server: Server) -> None:
    found = Found(server)
    cell = found.client.execute("print('ready', flush=True)\nwhile True: pass")
    wait_until(lambda: found.client.get_iopub_msg(timeout=30)["msg_type"] == "stream")
    server.ask("POST", f"kernels/{found.id}/interrupt")
    assert found.reply_to(cell)["ename"] == "KeyboardInterrupt"
    server.ask("POST", f"kernels/{found.id}/restart")
    wait_until(lambda: not is_alive(found.pid))
    found.wait_for_ready()
    assert len(server.ask("GET", "kernels")) == 1
    server.ask("DELETE", f"kernels/{found.id}")
    wait_until(lambda: not children(found.zygote))
    assert is_alive(found.zygote)
    found.client.stop_channels()


def test_a_kernel_that_dies_is_started_again_by_the_server(server: Server) -> None:
    found = Found(server)
    os.kill(found.pid, signal.SIGKILL)

    def restarted() -> list[int]:
        return [pid for pid in children(found.zygote) if pid != found.pid]

    wait_until(restarted, 60, what="a new kernel", seen=server.log)
    found.wait_for_ready()
    found.client.stop_channels()
