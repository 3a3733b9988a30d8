"""A forked kernel is like one that was started plainly."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager, KernelManager
from jupyter_client.multikernelmanager import AsyncMultiKernelManager

from jupyter_faas.kernels.nursery import nursery
from jupyter_faas.kernels.provisioner import can_encrypt
from jupyter_faas.kernels.zygote import _IDLE_MS as IDLE_MS
from tests.kernels.harness import PLAIN, SERVERLESS, evaluate, is_forked, kernel, manager
from tests.support import children, is_alive, open_fds, untraced, wait_until

pytestmark = pytest.mark.e2e

SAME = {
    "arguments": "sys.argv[0]",
    "search path": "sys.path",
    "directory": "os.getcwd()",
    "main module": "sorted(vars(sys.modules['__main__']))[:3]",
    "main has no file": "hasattr(sys.modules['__main__'], '__file__')",
    "session": "os.getsid(0) == os.getpid()",
    "process group": "os.getpgid(0) == os.getpid()",
    # By name: what measures coverage has a handler of its own in each process.
    "signals": "[getattr(signal.getsignal(n), '__qualname__', str(signal.getsignal(n)))"
    " for n in sorted(signal.valid_signals())]",
    "blocked signals": "sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))",
    "umask": "(lambda m: (os.umask(m), m))(os.umask(0))",
    "end of input": "sys.__stdin__.read()",
    "buffering": "[sys.__stdout__.line_buffering, sys.__stderr__.line_buffering]",
    "encoding": "[sys.__stdout__.encoding, sys.__stderr__.errors]",
    "flags": "list(sys.flags)",
    "interpreter": "[sys.executable, sys.prefix, sys.orig_argv[:3]]",
    "name of the process": "open('/proc/self/comm').read()",
    # In a test ipykernel leaves the descriptors alone.
    "where output goes": "[os.readlink(f'/proc/self/fd/{n}') for n in (1, 2)]",
    "numpy": "'numpy' in sys.modules",
}
"""Expressions that must be equal in a forked and in a plain kernel."""


def test_the_kernelspec_is_installed_with_the_package() -> None:
    spec = KernelSpecManager().get_kernel_spec(SERVERLESS)
    assert spec.display_name == "Python 3 (serverless)"
    assert spec.metadata["kernel_provisioner"]["provisioner_name"] == "jupyter-faas"
    assert (Path(spec.resource_dir) / "logo-svg.svg").exists()


def test_a_forked_kernel_is_set_up_like_a_plain_one(tmp_path: Path) -> None:
    environ = {**os.environ, "ONLY_HERE": "yes"}
    environ.pop("TERM", None)
    asked = ", ".join(f"{name!r}: {code}" for name, code in SAME.items())
    seen: dict[str, Any] = {}
    for name in (SERVERLESS, PLAIN):
        with kernel(name, env=dict(environ), cwd=str(tmp_path)) as running:
            running.run("import os, signal, sys")
            assert is_forked(running) == (name == SERVERLESS)
            seen[name] = evaluate(running, "{" + asked + "}")
            seen[name]["environment"] = evaluate(running, "dict(os.environ)")
            cell = running.run("import subprocess; print(subprocess.check_output('env').decode())")
            lines = running.text(cell).split("\n")
            seen[name]["C's environment"] = sorted(line for line in lines if line[:2] != "_=")
    for what, plain in seen[PLAIN].items():
        assert seen[SERVERLESS][what] == plain, what
    assert seen[SERVERLESS]["environment"]["ONLY_HERE"] == "yes"
    assert seen[SERVERLESS]["directory"] == str(tmp_path)


def test_a_forked_kernel_holds_no_descriptor_of_the_server(tmp_path: Path) -> None:
    """But the one that tells it that the server has ended."""
    # A socket may be closed between the list and the look.
    kinds = """
def kinds():
    for number in os.listdir('/proc/self/fd'):
        try:
            yield os.readlink(f'/proc/self/fd/{number}').split(':')[0]
        except FileNotFoundError:
            pass
"""
    secret = os.open(tmp_path / "secret", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(secret, True)
    seen = {}
    for name in (SERVERLESS, PLAIN):
        # SQLite opens files and folders of the history of cells whenever it writes to it.
        with kernel(name, extra_arguments=["--HistoryManager.enabled=False"]) as running:
            running.run(f"import os\n{kinds}")
            assert is_forked(running) == (name == SERVERLESS)
            seen[name] = evaluate(running, "sorted(kinds())")
    os.close(secret)
    # A plain kernel's input is a pipe, a forked one's is empty as well.
    seen[PLAIN][seen[PLAIN].index("pipe")] = "/dev/null"
    seen[PLAIN].append("anon_inode")
    assert counted(seen[SERVERLESS]) == counted(seen[PLAIN])


def counted(kinds: list[str]) -> dict[str, int]:
    """Sockets come and go with clients: they are left out."""
    return {kind: kinds.count(kind) for kind in set(kinds) - {"socket", "anon_inode"}}


def test_the_magics_are_there_and_no_gateway_is_started() -> None:
    with kernel() as running:
        assert evaluate(running, "get_ipython().find_line_magic('faas') is not None")
        running.run("import jupyter_faas")
        code = "type(__import__('jupyter_faas.client.session').client.session.session.output)"
        assert evaluate(running, f"{code}.__name__") == "CellOutput"
        assert evaluate(running, "jupyter_faas.client.session.session.gateway is None")


def test_a_kernel_is_born_with_what_its_first_call_needs() -> None:
    """Once its zygote has had nothing to do for a moment."""
    with kernel() as running:

        def is_born_with_it() -> bool:
            time.sleep(1.5 * IDLE_MS / 1000)  # a machine on which restarts take less lets it idle
            running.restart()
            return bool(evaluate(running, "'cloudpickle' in __import__('sys').modules"))

        wait_until(is_born_with_it, 30)


def test_kernels_draw_different_numbers_and_name_cells_by_their_own_pid() -> None:
    asked = "[random.random(), str(uuid.uuid4()), tempfile.mktemp(), str(np.random.random())]"
    with kernel() as one, kernel() as other:
        for running in (one, other):
            running.run("import random, uuid, tempfile, numpy as np, os")
        drawn = [evaluate(running, asked) for running in (one, other)]
        assert all(mine != yours for mine, yours in zip(*drawn, strict=True))
        code = "[os.getpid(), (lambda: 0).__code__.co_filename]"
        for running in (one, other):
            pid, name = evaluate(running, code)
            assert f"ipykernel_{pid}" in name


def test_an_interrupt_reaches_the_cell_and_what_it_has_started() -> None:
    with kernel() as running:
        cell = running.start(
            "import subprocess, sys\nprint('ready', flush=True)\n"
            "subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
        )
        wait_until(lambda: bool(running.collect(30)) and "ready" in running.text(cell))
        running.run_interrupt(cell)
        assert running.value("1 + 1") == "2"


def test_a_kernel_is_restarted_in_place() -> None:
    with kernel() as running:
        running.run("x = 1; import os")
        before = evaluate(running, "os.getpid()")
        running.restart()
        assert is_forked(running)
        assert evaluate(running, "__import__('os').getpid()") != before
        assert running.error("x")["ename"] == "NameError"


def test_a_shutdown_runs_what_is_registered_for_the_end(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with manager() as running:
        from tests.notebook.kernel import Kernel

        front = Kernel(running)
        front.run(f"import atexit, pathlib; atexit.register(pathlib.Path({str(note)!r}).touch)")
        front.client.stop_channels()
        running.shutdown_wait_time = 60.0  # then it is killed: a busy machine takes its time
        running.shutdown_kernel()
        assert note.exists()
        assert not running.is_alive()


def test_processes_and_threads_work_in_a_kernel(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("def square(x):\n    return x * x\n")
    # A pool ends its workers by SIGTERM, and waits: what measures coverage may be in the way.
    with untraced(), kernel(cwd=str(tmp_path)) as running:
        running.run("import multiprocessing as mp, work\nfrom concurrent.futures import *")
        for method in ("fork", "spawn", "forkserver"):
            code = f"mp.get_context({method!r}).Pool(2)"
            running.run(f"with {code} as pool: print(pool.map(work.square, range(4)))")
        with_threads = "list(ThreadPoolExecutor(2).map(work.square, range(4)))"
        assert evaluate(running, with_threads) == [0, 1, 4, 9]
        cell = running.run("await __import__('asyncio').sleep(0); print('awaited')")
        assert running.text(cell) == "awaited\n"


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_two_kernels_start_at_once_from_one_zygote() -> None:
    kernels = AsyncMultiKernelManager(default_kernel_name=SERVERLESS)
    ids = await asyncio.gather(kernels.start_kernel(), kernels.start_kernel())
    parents = set()
    for kernel_id in ids:
        client = kernels.get_kernel(kernel_id).client()
        client.start_channels()
        await client.wait_for_ready(timeout=30)
        client.stop_channels()
        parents.add(parent_of(kernels.get_kernel(kernel_id).provisioner.pid))
    await kernels.shutdown_all(now=True)
    assert len(parents) == 1
    assert parents <= set(nursery().pids())


async def test_twenty_kernels_in_a_row_leave_nothing_behind() -> None:
    async def one() -> int:
        # Of a hundred ports that are chosen here and bound there, one is another's meanwhile.
        running = AsyncKernelManager(kernel_name=SERVERLESS, transport="ipc")
        await running.start_kernel()
        pid = running.provisioner.pid
        client = running.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=30)
        finally:
            client.stop_channels()
            await running.shutdown_kernel(now=True)
        return int(pid)

    await one()
    zygote = nursery().pids()[-1]
    before = held(zygote)
    pids = [await one() for _ in range(20)]
    # jupyter_client waits 5 s for one that it has killed, and goes on.
    wait_until(lambda: not any(map(is_alive, pids)))
    wait_until(lambda: not children(zygote))
    # Sockets are closed by a thread of ZeroMQ's, and a kernel's link when it has been reaped.
    wait_until(
        lambda: all(now <= then for now, then in zip(held(zygote), before, strict=True)),
        seen=lambda: (held(zygote), before),
    )


def held(zygote: int) -> tuple[int, ...]:
    """Return descriptors here, in the zygote, and children here."""
    gc.collect()  # of earlier tests: they would be counted before and not after
    return open_fds(), open_fds(zygote), len(children(os.getpid()))


def test_an_exit_code_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_faas.kernels.forked._WORD_MS", 20_000.0)  # a busy machine's
    for code, expected in (("os._exit(7)", 7), ("os.kill(os.getpid(), 9)", -signal.SIGKILL)):
        running = KernelManager(kernel_name=SERVERLESS)
        running.start_kernel()
        client = running.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=30)
        client.execute(f"import os; {code}")
        wait_until(lambda running=running: not running.is_alive())
        assert running.provisioner.process.returncode == expected
        client.stop_channels()
        running.shutdown_kernel(now=True)


def test_output_goes_where_it_is_asked_to(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out, kernel(stdout=out) as running:
        running.run("import os; os.write(1, b'here')")
        assert (tmp_path / "out").read_bytes() == b"here"


needs_encryption = pytest.mark.skipif(
    not hasattr(KernelManager, "transport_encryption"),
    reason="this jupyter_client does not encrypt",
)


@needs_encryption
@pytest.mark.skipif(not can_encrypt(), reason="this ipykernel does not encrypt")
def test_a_kernel_encrypts_when_it_is_asked_to() -> None:
    with kernel(transport_encryption="required") as running:
        assert is_forked(running)
        assert running.client.curve_publickey


@needs_encryption
def test_an_ipykernel_that_cannot_encrypt_is_not_taken_for_one_that_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jupyter_faas.kernels.provisioner.can_encrypt", lambda: False)
    with kernel(transport_encryption="auto") as running:
        assert not running.client.curve_publickey
    with (
        pytest.raises(RuntimeError, match="pip install -U ipykernel"),
        manager(transport_encryption="required"),
    ):
        pass


def test_this_process_is_not_changed() -> None:
    before = dict(os.environ), os.getcwd(), list(sys.path)
    with kernel(env={**os.environ, "FAAS_X": "1"}):
        assert (dict(os.environ), os.getcwd(), list(sys.path)) == before
