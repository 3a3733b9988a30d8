"""Several gateway processes that serve as one, with real replicas: calls, control, kill, leave."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import jupyter_faas as faas
from jupyter_faas.core.ownership import Members
from tests.e2e.gateway import Gateway
from tests.e2e.load import Load, Seen
from tests.e2e.one_of_several import TOKEN
from tests.support import descendants, free_ports, is_alive, wait_until

pytestmark = pytest.mark.timeout(300)

SOURCE = """
import os, time

def f(n):
    print("call", n)
    time.sleep(0.01)
    return {"n": n, "pid": os.getpid()}

def items(n):
    for i in range(n):
        print("item", i)
        yield i

def size_of(body: bytes) -> int:
    return len(body)

def twice(body):
    return body + body
"""


class Process(Gateway):
    """One gateway process, with what `Gateway` can ask over HTTP."""

    def __init__(
        self, id: str, where: Path, ports: dict[str, int], environ: Mapping[str, str] = {}
    ) -> None:
        super().__init__(where / id)
        self.id = id
        self.port = ports[id]
        pairs = [f"{port}={name}" for name, port in ports.items()]
        self.log = where / f"{id}.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.one_of_several", id, str(where), *pairs],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "FAAS_LEAVE_QUIET_S": "1.5", **environ},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def token(self) -> str:
        return TOKEN

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def wait(self) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n", self.log.read_text()

    def knows_all(self) -> bool:
        """Return whether the members it has written last are all there are."""
        return self.log.read_text().rpartition("gateways: ")[2].startswith("a, b;")

    def end(self) -> list[int]:
        mine = [self.pid, *descendants(self.pid)]
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not [pid for pid in mine if is_alive(pid)])
        if self.process.stdout is not None:
            self.process.stdout.close()
        left = [pid for pid in mine if is_alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left


class Two:
    def __init__(self, where: Path, environ: Mapping[str, str] = {}) -> None:
        self.where = where
        self.environ = environ
        self.ports = dict(zip("ab", free_ports(2), strict=True))
        with contextlib.closing(sqlite3.connect(where / "shared.db")) as database:
            database.execute("PRAGMA journal_mode = WAL")  # not to be done by two at once
        self.all = {id: Process(id, where, self.ports, environ) for id in self.ports}
        for process in self.all.values():
            process.wait()
        self.wait_until_agreed()

    def wait_until_agreed(self) -> None:
        """Wait until every gateway has seen the others: until then each may start replicas."""
        for process in self.all.values():
            wait_until(process.knows_all, what="all gateways", seen=process.log.read_text)

    def name_of(self, id: str, hint: str) -> str:
        members = Members(self.ports)
        return next(
            f"{hint}{n}" for n in range(1000) if members.owner(("default", f"{hint}{n}")) == id
        )

    def again(self, id: str) -> None:
        """Start one anew that has ended."""
        self.all[id].end()
        self.all[id] = Process(id, self.where, self.ports, self.environ)
        self.all[id].wait()


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    where = Path(tempfile.mkdtemp(prefix="faas-two-"))
    # Who sends may stand still for a while before it hears that one of them leaves.
    made = Two(where, {"FAAS_LEAVE_QUIET_S": "4"})
    yield made
    left = [pid for process in made.all.values() for pid in process.end()]
    logs = "".join(process.log.read_text() for process in made.all.values())
    shutil.rmtree(where, ignore_errors=True)
    assert left == [], f"processes left behind: {left}\n{logs[-4000:]}"


@pytest.fixture
def connected(two: Two) -> Iterator[Two]:
    client = faas.connect(f"http://127.0.0.1:{two.ports['a']}", TOKEN)
    yield two
    client.close()


def make(which: str, name: str, **settings):
    space = {"__name__": "__main__"}
    exec(compile(SOURCE, "<cell>", "exec"), space)
    return faas.serverless(name=name, **settings)(space[which])


def test_a_notebook_deploys_and_calls_through_any_gateway(connected, capfd):
    f = make("f", connected.name_of("b", "deployed"))
    assert f.remote(3)["n"] == 3
    assert "call 3" in capfd.readouterr().out
    a, b = connected.all["a"], connected.all["b"]
    name = f.url.rpartition("/")[2]
    through_a, through_b = (one.call(name, 7) for one in (a, b))
    assert through_a.json() == through_b.json()  # the same replica
    assert f.status()
    assert [one["pid"] for one in a.replicas(name)] == [one["pid"] for one in b.replicas(name)]
    f.delete()
    assert b.call(name, 1).status == 404


def test_streams_come_as_they_are_made(connected, capfd):
    items = make("items", connected.name_of("b", "items"))
    assert list(items.remote(50)) == list(range(50))
    lines = connected.all["a"].call(connected.name_of("b", "items"), 5).body
    assert lines == b"0\n1\n2\n3\n4\n"


def test_a_hundred_megabytes_pass_both_ways(connected):
    name = connected.name_of("b", "size")
    make("size_of", name).deploy()
    body = bytes(100_000_000)
    answer = connected.all["a"].request(
        "POST", f"/function/{name}", body, {"Content-Type": "application/octet-stream"}
    )
    assert answer.json() == 100_000_000
    twice = make("twice", connected.name_of("b", "twice"))
    assert len(twice.remote(bytes(50_000_000))) == 100_000_000


def test_a_gateway_killed_under_load_fails_only_what_it_had(connected):
    two = connected
    name = two.name_of("b", "killed")
    make("f", name, max_containers=8).deploy()
    assert two.all["b"].call(name, 0).status == 200
    load = Load(two.all["a"], name)

    def served_since(at_s: float) -> list[Seen]:
        return [one for one in load.seen if one.status == 200 and one.started_s > at_s]

    async def work() -> float:
        is_over = asyncio.Event()
        calling = asyncio.create_task(load.at_rate(100, math.inf, until=is_over))
        await asyncio.sleep(1.5)
        killed = two.all["b"].process
        killed.kill()
        await asyncio.to_thread(killed.wait)
        killed_s = time.monotonic()
        await asyncio.to_thread(wait_until, lambda: len(served_since(killed_s)) >= 200, 60.0)
        is_over.set()
        await calling
        return killed_s

    killed_s = asyncio.run(work())
    failed = [one for one in load.seen if one.status != 200]
    assert all(one.value["code"] == "gateway_lost" for one in failed), failed[:3]
    after = served_since(killed_s)
    # What was sent until the other gateway had noticed: then it serves, and nothing fails any more.
    serves_s = min(one.started_s + one.took_s for one in after)
    assert all(one.started_s <= serves_s for one in failed), failed
    ok = [one for one in load.seen if one.status == 200]
    assert all(one.value["n"] == one.sent for one in ok)
    print(f"killed: {len(failed)} lost; slowest after it {max(one.took_s for one in after):.3f} s")
    two.again("b")
    two.wait_until_agreed()


def test_a_gateway_leaves_and_comes_back_under_load_without_a_failed_call(connected):
    two = connected
    name = two.name_of("b", "leaves")
    make("f", name, max_containers=8).deploy()
    loads = [Load(process, name) for process in two.all.values()]
    calls: list[asyncio.Task[Seen]] = []

    async def work() -> None:
        is_over = asyncio.Event()

        async def alternate() -> None:
            begin = time.monotonic()
            while not is_over.is_set():
                n = len(calls)
                await asyncio.sleep(max(0.0, begin + n / 100 - time.monotonic()))
                # As a Service does it: new connections go to who is ready.
                which = loads[n % 2] if loads[1].is_open else loads[0]
                calls.append(asyncio.create_task(which.call(n)))
            await asyncio.gather(*calls)

        loads[1].is_open = True
        calling = asyncio.create_task(alternate())
        await asyncio.sleep(1.5)
        leaving = two.all["b"].process
        leaving.terminate()
        await asyncio.sleep(0.2)
        loads[1].is_open = False
        await asyncio.to_thread(leaving.wait)
        loads[1].close()
        await asyncio.to_thread(two.again, "b")
        loads[1].is_open = True
        await asyncio.sleep(1.5)
        is_over.set()
        await calling
        for load in loads:
            load.close()

    asyncio.run(work())
    seen = [one for load in loads for one in load.seen]
    assert [one for one in seen if one.status != 200] == []
    assert sorted(one.value["n"] for one in seen) == list(range(len(calls)))
    print(f"left and came back: slowest {max(one.took_s for one in seen):.3f} s")
    # What was b's is b's again.
    wait_until(lambda: two.all["b"].replicas(name), what="a replica at b")
