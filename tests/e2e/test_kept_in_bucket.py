"""Calls and maps kept in an S3 bucket: real gateways, drivers and a service, killed at any time."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import jupyter_faas as faas
from jupyter_faas import FunctionCall, MapRun
from jupyter_faas.core.errors import FaasError, GatewayLost, GatewayUnavailable, ProviderError
from tests.e2e.one_of_several import TOKEN
from tests.e2e.test_several import Process, Two
from tests.gateway.object_store import BUCKET, S3Server
from tests.support import descendants, free_ports, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

SOURCE = """
import os, time

def work(x, seconds=0.0, path=""):
    print("item", x)
    if path:
        with open(path, "a") as file:
            file.write(f"{x}\\n")
    time.sleep(seconds)
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x * x

def there(path, x):
    if not os.path.exists(path):
        raise ValueError(f"no file for {x}")
    return x

def echo(body):
    return body
"""


class Keeper:
    """`jupyter-faas blobs` with a bucket."""

    def __init__(self, where: Path, variables: dict[str, str]) -> None:
        (self.port,) = free_ports(1)
        self.key = where / "blobs.key"
        self.key.write_bytes(os.urandom(32))
        self.log = where / "keeper.log"
        self._where = where
        self._environ = {
            **os.environ,
            **variables,
            "FAAS_PORT": str(self.port),
            "FAAS_BLOBS_KEY_FILE": str(self.key),
            "FAAS_BLOB_URL": f"s3://{BUCKET}/{where.name}",
        }
        self._starts = 0
        self.start()

    def start(self) -> None:
        """Start it with an empty disk."""
        self._starts += 1
        state = self._where / f"keeper-{self._starts}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_faas", "blobs"],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**self._environ, "FAAS_STATE_DIR": str(state)},
                start_new_session=True,
            )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said.startswith(b"Calls and maps are kept in s3://"), self.log.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()


class World(Two):
    """Two gateways, what keeps things for both, and the S3 server it uses."""

    def __init__(self, where: Path, keeper: Keeper, bucket: S3Server) -> None:
        self.keeper = keeper
        self.bucket = bucket
        environ = {
            "FAAS_KEPT_URL": f"http://127.0.0.1:{keeper.port}",
            "FAAS_BLOBS_KEY_FILE": str(keeper.key),
            "FAAS_CANCEL_GRACE_S": "0.1",
        }
        super().__init__(where, environ)

    def owner_of(self, name: str) -> Process:
        (id,) = (one for one in self.ports if self.name_of(one, name) == f"{name}0")
        return self.all[id]

    def driver_of(self, process: Process) -> int | None:
        for pid in descendants(process.pid):
            with contextlib.suppress(OSError):
                if b"\0driver" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return None


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    where = Path(tempfile.mkdtemp(prefix="faas-kept-"))
    bucket = S3Server()
    keeper = Keeper(where, bucket.variables)
    made = World(where, keeper, bucket)
    yield made
    left = [pid for process in made.all.values() for pid in process.end()]
    keeper.end()
    bucket.stop()
    logs = "".join(process.log.read_text() for process in made.all.values())
    told = logs + keeper.log.read_text()
    shutil.rmtree(where, ignore_errors=True)
    assert left == [], f"processes left behind: {left}\n{logs[-4000:]}"
    assert "a-secret" not in told


@pytest.fixture
def connected(world: World) -> Iterator[World]:
    client = faas.connect(f"http://127.0.0.1:{world.ports['a']}", TOKEN)
    yield world
    client.close()


def make(which: str, name: str, **settings):
    space = {"__name__": "__main__"}
    exec(compile(SOURCE, "<cell>", "exec"), space)
    return faas.serverless(name=name, **settings)(space[which])


def again(ask):
    """Return what `ask` does; its connection may be one to a gateway that has gone."""

    def answered():
        with contextlib.suppress(GatewayLost, GatewayUnavailable, ProviderError):
            return (ask(),)
        return None

    return wait_until(answered, 60.0, what="a gateway answers")[0]


def test_the_kernel_has_gone_and_another_one_reads_all(connected):
    work = make("work", connected.name_of("b", "gone"), max_containers=2)
    work.deploy()
    source = f"""
import jupyter_faas as faas
faas.connect("http://127.0.0.1:{connected.ports["a"]}", "{TOKEN}")
print(faas.function("{work.name}").spawn_map(range(300)).id)
"""
    told = [sys.executable, "-c", source]
    done = subprocess.run(told, capture_output=True, text=True, timeout=60, check=False)
    run = MapRun.from_id(done.stdout.strip())
    assert list(run.results()) == [x * x for x in range(300)], done.stderr
    assert list(run.results(298)) == [298 * 298, 299 * 299]
    assert run.status == "done"
    assert len(list(run.logs())) == 300


def test_large_inputs_and_results(connected):
    echo = make("echo", connected.name_of("a", "large"), max_containers=1)
    bodies = [os.urandom(1 << 20) * 12, b"small", os.urandom(300_000)]
    run = echo.spawn_map(bodies)
    assert list(run.results()) == bodies
    call = echo.spawn(bodies[0])
    assert call.get(timeout=60) == bodies[0]


@pytest.mark.parametrize("who", ["driver", "gateway", "service"])
def test_killed_in_the_middle_it_goes_on_from_what_is_done(connected, tmp_path, who):
    name = connected.name_of("b", f"killed-{who}")
    work = make("work", name, max_containers=2)
    path = tmp_path / "ran"
    assert work.remote(0) == 0
    run = work.spawn_map(range(60), kwargs={"seconds": 0.25, "path": str(path)})
    wait_until(lambda: path.exists() and len(path.read_text().split()) >= 25, 60.0)
    owner = connected.all["b"]
    if who == "driver":
        os.kill(wait_until(lambda: connected.driver_of(owner)), signal.SIGKILL)
    elif who == "gateway":
        os.kill(owner.pid, signal.SIGKILL)
    else:
        connected.keeper.kill()
        connected.keeper.start()
    results = again(lambda: list(MapRun.from_id(run.id).results()))
    assert results == [x * x for x in range(60)]
    ran = path.read_text().split()
    assert set(ran) == {str(x) for x in range(60)}
    assert len(ran) < 60 + 25, "what was written down did not run again"
    if who == "gateway":
        connected.again("b")
        connected.wait_until_agreed()


def test_failed_items_are_run_again(connected, tmp_path):
    there = make("there", connected.name_of("b", "failed"))
    path = tmp_path / "there"
    run = there.spawn_map([str(path)] * 3, range(3))
    assert [index for index, _ in run.failed()] == [0, 1, 2]
    path.touch()
    run.retry_failed()
    assert list(run.results()) == [0, 1, 2]
    assert MapRun.from_id(run.id).failed() == []


def test_kept_calls_of_a_killed_gateway_run_at_the_other(connected):
    work = make("work", connected.name_of("b", "calls"), max_containers=1, idempotent=True)
    assert work.remote(0) == 0
    calls = [work.spawn(n, seconds=5.0 if n == 1 else 0.01) for n in range(1, 6)]
    wait_until(lambda: calls[0].status == "running", 20.0)
    os.kill(connected.all["b"].pid, signal.SIGKILL)
    assert [again(lambda: call.get(timeout=60)) for call in calls] == [1, 4, 9, 16, 25]  # noqa: B023
    connected.again("b")
    connected.wait_until_agreed()
    assert FunctionCall.from_id(calls[2].id).get(timeout=20) == 9


@pytest.mark.parametrize(
    ("who", "says"), [("service", "does not answer"), ("bucket", "Calls and maps in s3://")]
)
def test_what_cannot_be_kept_is_said_and_a_map_that_runs_goes_on(connected, tmp_path, who, says):
    work = make("work", connected.name_of("b", f"away-{who}"), max_containers=2)
    path = tmp_path / "ran"
    assert work.remote(0) == 0
    run = work.spawn_map(range(40), kwargs={"seconds": 0.1, "path": str(path)})
    wait_until(lambda: path.exists() and path.read_text().split(), 30.0)
    if who == "service":
        connected.keeper.kill()
    else:
        connected.bucket.stop()
    wait_until(lambda: len(path.read_text().split()) == 40, 60.0)  # it has gone on
    with pytest.raises(FaasError, match=says):
        work.spawn_map([1, 2])
    with pytest.raises(ProviderError, match=says):
        work.spawn(1)
    if who == "service":
        connected.keeper.start()
    else:
        connected.bucket.start()
    assert again(lambda: list(run.results())) == [x * x for x in range(40)]
    assert len(path.read_text().split()) == 40, "each ran once"
    assert again(lambda: MapRun.from_id(run.id).status) == "done"
    assert work.spawn(3).get(timeout=30) == 9
