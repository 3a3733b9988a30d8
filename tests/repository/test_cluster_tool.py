"""`tools/test-cluster` on what an earlier run has left; the machine's cluster is a stand-in."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import is_alive, wait_until

TOOL = Path(__file__).parents[2] / "tools" / "test-cluster"
STAND_IN = """#!/usr/bin/env bash
home=%s
case $1 in kubeconfig) echo "$home/etc/admin.conf"; exit ;; esac
echo "$*" >>"$home.calls"
case $1 in
  up)
    mkdir -p "$home"/{run,etc}
    [ ! -e "$home/run/broken" ] || exit 1
    echo "$home/etc/admin.conf" ;;
  down) rm -rf "$home"/{run,etc,namespaces} ;;
esac
"""
KUBECTL = """#!/usr/bin/env bash
cat "$(dirname "$0")/../namespaces" 2>/dev/null || true
"""


class Machine:
    """A machine with a cluster of its own, where nothing is real but the tool."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "localcluster"
        self.lock = root / "localcluster.lock"
        for path, text in (
            (root / "shared" / "cluster" / "cluster", STAND_IN % self.home),
            (self.home / "bin" / "kubectl", KUBECTL),
        ):
            path.parent.mkdir(parents=True)
            path.write_text(text)
            path.chmod(0o755)
        (root / "main" / "tools").mkdir(parents=True)
        shutil.copy(TOOL, root / "main" / "tools")
        (self.home / "run").mkdir()

    def run(self, *command: str) -> list[str]:
        """Run the tool; return what it has asked of the cluster."""
        (self.root / "localcluster.calls").unlink(missing_ok=True)
        environ = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}
        subprocess.run(
            [self.root / "main" / "tools" / "test-cluster", *(command or ("true",))],
            env=environ | {"IMAGES": "no", "GOES_S": "0"},
            check=True,
            capture_output=True,
            timeout=60,
        )
        return (self.root / "localcluster.calls").read_text().splitlines()[:-1]

    def has(self, *namespaces: str) -> None:
        (self.home / "namespaces").write_text("\n".join(namespaces) + "\n")

    @contextmanager
    def process(self, name: str, program: Path = Path("/bin/sleep")) -> Iterator[int]:
        """Have a process that a pid file names."""
        with subprocess.Popen([name, "600"], executable=program) as process:
            (self.home / "run" / f"{name}.pid").write_text(str(process.pid))
            try:
                yield process.pid
            finally:
                process.kill()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_cluster_that_is_in_order_is_used(machine: Machine) -> None:
    machine.has("default Active", "kube-system Active")
    with machine.process("etcd"):
        assert machine.run() == ["up"]


@pytest.mark.parametrize("left", ["t-system-1 Active", "t-fn-1 Terminating"])
def test_what_a_killed_run_has_left_goes_with_the_cluster(machine: Machine, left: str) -> None:
    machine.has("default Active", left)
    assert machine.run() == ["up", "down", "up"]


def test_what_another_run_uses_is_left_alone(machine: Machine) -> None:
    machine.has("t-system-1 Active")
    with machine.lock.open("w") as lock, machine.process("apiserver") as pid:
        fcntl.flock(lock, fcntl.LOCK_SH)
        os.kill(pid, signal.SIGSTOP)  # on purpose: it is a part of its test
        assert machine.run() == ["up"]
        assert is_stopped(pid)


def test_the_lock_is_held_until_the_command_has_ended(machine: Machine) -> None:
    told = machine.root / "told"
    machine.run("bash", "-c", f"flock -n -x {machine.lock} true; echo $? >{told}")
    assert told.read_text() == "1\n"
    with machine.lock.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_an_api_server_that_was_left_standing_still_goes_on(machine: Machine) -> None:
    with machine.process("apiserver") as pid:
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: is_stopped(pid))
        assert machine.run() == ["up"]
        assert not is_stopped(pid)


def test_a_cluster_that_ended_without_being_taken_down_is_made_new(machine: Machine) -> None:
    (machine.home / "run" / "etcd.pid").write_text(str(os.getpid()))  # of somebody else by now
    assert machine.run() == ["down", "up"]


def test_a_cluster_that_does_not_come_up_is_made_new(machine: Machine) -> None:
    (machine.home / "run" / "broken").touch()
    assert machine.run() == ["up", "up", "up", "down", "up"]


def test_what_has_no_pid_file_ends_with_its_cluster(machine: Machine) -> None:
    program = machine.home / "bin" / "kubelet"
    shutil.copy("/bin/sleep", program)
    machine.has("t-system-1 Active")
    with machine.process("kubelet", program) as pid:
        (machine.home / "run" / "kubelet.pid").unlink()
        assert machine.run() == ["up", "down", "up"]
        wait_until(lambda: not is_alive(pid))


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
