"""Maps whose processes are killed at random: what runs, what is killed, what must hold then.

Each item appends to a file of its own when it begins and when it ends: what really ran is told by
nobody else.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_faas import serverless
from jupyter_faas.core.errors import ExecutionError, GatewayLost
from tests.support import wait_until

Kill = Callable[[random.Random, str], None]
"""Kills a process of one kind; is given the name of the function that is mapped."""
Count = Callable[[str], int]
"""Returns how many items of a function have been counted."""


def record(directory: str, x: int, seconds: float) -> int:
    """Run one item: it leaves a line as it begins, and one as it ends."""
    path = os.path.join(directory, str(x))
    for line in ("begun\n", "ended\n"):
        with open(path, "a") as file:
            file.write(line)
        time.sleep(seconds if line == "begun\n" else 0.0)
    return x


@serverless(name="killed-perhaps", max_containers=2)
def perhaps(directory: str, x: int, seconds: float) -> int:
    return record(directory, x, seconds)


@serverless(name="killed-again", max_containers=2, idempotent=True)
def again(directory: str, x: int, seconds: float) -> int:
    return record(directory, x, seconds)


@serverless(name="killed-once", max_containers=2, idempotent=False)
def once(directory: str, x: int, seconds: float) -> int:
    return record(directory, x, seconds)


FUNCTIONS: Sequence[tuple[Any, int]] = ((perhaps, 3), (again, 12), (once, 1))
"""What is mapped, and how often an item of it may begin."""


class Seen(NamedTuple):
    """What a map has given, and what its items have left."""

    results: list[Any]
    begins: list[int]
    ends: list[int]
    ending: Exception | None


def run(seed: int, directory: Path, kills: Mapping[str, Kill], count: Count, *, engine: str) -> str:
    """Run one map while processes are killed; return what was done, in a line.

    Raises:
        AssertionError: An item was lost, was given or counted twice, or ran more often than it may.
    """
    chance = random.Random(seed)
    function, most = chance.choice(FUNCTIONS)
    shape = chance.choice(["map", "spawn_map"])
    n = chance.randint(8, 24)
    seconds = [chance.choice([0.0, 0.01, 0.05, 0.15]) for _ in range(n)]
    plan = [(chance.choice(sorted(kills)), chance.uniform(0.0, 0.3)) for _ in range(2)]
    told = f"seed {seed}: {function.name}.{shape} of {n}, kills {plan}"
    function.deploy()
    counted = count(function.name)
    killed: list[str] = []
    killer = threading.Thread(
        target=_kill, args=(plan, kills, directory, chance, function.name, killed)
    )
    killer.start()
    try:
        seen = _map(function, shape, directory, seconds, engine)
    finally:
        killer.join()
    _check(seen, n, most, told)
    if shape == "spawn_map":
        wait_until(lambda: count(function.name) >= counted + n, 30.0, what=f"{told}: all count")
        assert count(function.name) == counted + n, f"{told}: some count twice"
    else:
        assert count(function.name) <= counted + sum(seen.ends), f"{told}: some count twice"
    lost = sum(isinstance(one, Exception) for one in seen.results)
    return f"{told}; killed {killed}; begins {sum(seen.begins)}, errors {lost}, {seen.ending!r}"


def _kill(
    plan: Sequence[tuple[str, float]],
    kills: Mapping[str, Kill],
    directory: Path,
    chance: random.Random,
    name: str,
    killed: list[str],
) -> None:
    """Wait for the first item, then kill one after the other."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: any(directory.iterdir()), 60.0)
    for victim, pause_s in plan:
        time.sleep(pause_s)  # the moment is the test's, nothing is waited for
        with contextlib.suppress(OSError, AssertionError, LookupError, ValueError, HTTPException):
            kills[victim](chance, name)  # it may be gone just now
            killed.append(victim)


def _map(function: Any, shape: str, directory: Path, seconds: Sequence[float], engine: str) -> Seen:
    n = len(seconds)
    inputs = ([str(directory)] * n, range(n), seconds)
    results: list[Any] = []
    ending: Exception | None = None
    try:
        if shape == "map":
            results.extend(function.map(*inputs, return_exceptions=True, engine=engine))
        else:
            spawned = function.spawn_map(*inputs, engine=engine)
            results.extend(spawned.results(return_exceptions=True))
    except GatewayLost as error:
        ending = error
    lines = [_lines(directory / str(x)) for x in range(n)]
    begins, ends = ([one.count(word) for one in lines] for word in ("begun", "ended"))
    return Seen(results, begins, ends, ending)


def _lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def _check(seen: Seen, n: int, most: int, told: str) -> None:
    assert max(seen.begins) <= most, f"{told}: begun {seen.begins}"
    errors = [one for one in seen.results if isinstance(one, Exception)]
    assert all(isinstance(one, ExecutionError) for one in errors), f"{told}: {errors}"
    for x, result in enumerate(seen.results):
        if not isinstance(result, Exception):
            assert result == x, f"{told}: {seen.results}"
            assert seen.ends[x] >= 1, f"{told}: {x} has a result and has not ended"
    if most > 1:
        assert not errors, f"{told}: {errors}"
        assert seen.ending is None, f"{told}: {seen.ending}"
    if seen.ending is None:
        assert len(seen.results) == n, f"{told}: {len(seen.results)} of {n} results"
    else:
        assert "idempotent=False" in str(seen.ending), f"{told}: {seen.ending}"


def kill(pid: int) -> None:
    """End one process, if it is there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
