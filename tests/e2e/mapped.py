"""What the tests of maps deploy."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from random import gauss
from typing import Any

from numpy.random import rand

from jupyter_faas import serverless


@serverless
def square(x: int) -> int:
    return x * x


@serverless
def add(a: int, b: int, c: int = 0) -> int:
    return a + b + c


@serverless(max_containers=2, idempotent=True)
def uneven(x: int) -> int:
    time.sleep(0.05 * (x % 3))
    return x


@serverless
def echo(x: bytes) -> bytes:
    return x


@serverless
def large(mebibytes: int) -> bytes:
    return bytes(mebibytes << 20)


@serverless
def fails_at(x: int, at: int) -> int:
    if x == at:
        raise ValueError(f"item {x}")
    return x


@serverless(max_containers=2)
def marks(directory: str, x: int, seconds: float) -> int:
    """Leaves a line for each begin and each end of an item; none begins that does not end."""

    def leave(word: str) -> None:
        with open(os.path.join(directory, str(x)), "a") as file:
            file.write(word + "\n")

    try:
        leave("begun")
        time.sleep(seconds)
        leave("done")
    except BaseException as error:
        leave(type(error).__name__)
        raise
    return x


def wait_for(path: str) -> None:
    """Wait until a file is there, though not for ever."""
    until_s = time.monotonic() + 60.0
    while not os.path.exists(path) and time.monotonic() < until_s:
        time.sleep(0.01)


@serverless(max_containers=2, idempotent=False)
def marks_once(directory: str, x: int, go_on: str) -> int:
    """Leaves a line for each begin; all items but the first wait for a file."""
    with open(os.path.join(directory, str(x)), "a") as file:
        print("begun", file=file, flush=True)
    if x > 0:
        wait_for(go_on)
    return x


@serverless(max_containers=2)
def interrupts_at(x: int, at: int) -> int:
    if x == at:
        raise KeyboardInterrupt
    return x


@serverless
def stops_at(x: int, at: int) -> int:
    if x == at:
        raise StopIteration("no more of it")
    return x


class Unreadable:
    """Can be pickled, and not be rebuilt."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("not a number",)


@serverless
def unreadable_at(x: int, at: int) -> Any:
    return Unreadable() if x == at else x


@serverless(max_containers=2)
def dies_at(x: int, at: int, how: str) -> int:
    if x == at:
        if how == "segfault":
            ctypes.string_at(0)
        if how == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGKILL)
    return x


@serverless(max_containers=2, idempotent=False)
def dies_once_for_all(directory: str, x: int) -> int:
    with open(os.path.join(directory, str(x)), "a") as file:
        print("begun", file=file, flush=True)
    if x == 7:
        os._exit(3)
    return x


@serverless(max_containers=2, memory=128)
def eats(x: int) -> int:
    if x == 3:
        return len(bytearray(1 << 30))
    return x


@serverless(max_containers=2, timeout=5.0)
def never_ends_at(x: int, at: int) -> int:
    while x == at:
        time.sleep(0.01)
    return x


@serverless
def lock_at(x: int, at: int) -> Any:
    return threading.Lock() if x == at else x


@serverless(max_inputs=8, max_containers=2)
def naps(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@serverless(max_inputs=8, max_containers=2)
def naps_or_dies_at(x: int, at: int) -> int:
    """Dies when others have begun beside it."""
    time.sleep(0.1)
    if x == at:
        os._exit(3)
    time.sleep(0.1)
    return x


@serverless(max_inputs=8, max_containers=1)
async def dozes(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@serverless
def prints(x: int) -> int:
    print(f"item {x}", flush=True)
    print(f"oops {x}", file=sys.stderr, flush=True)
    return x


@serverless
def random_number(_: int) -> float:
    import numpy as np

    return float(np.random.rand())


@serverless(max_containers=4)
def numbers_by_name(_: int) -> tuple[float, float]:
    time.sleep(0.02)
    return float(rand()), gauss(0, 1)


@serverless
def inner(x: int) -> int:
    return x + 1


@serverless(max_containers=2)
def outer(n: int) -> int:
    return sum(inner.map(range(n)))


@serverless
def yields(n: int) -> Iterator[int]:
    yield from range(n)


@serverless(max_containers=2)
class Model:
    def __init__(self) -> None:
        self.factor = 3

    def predict(self, x: int) -> int:
        return self.factor * x


@serverless(max_containers=1)
def pid(_: int) -> int:
    return os.getpid()


@serverless(max_containers=2)
def waits_at_zero(path: str, x: int) -> int:
    """Item 0 waits for a file."""
    if x == 0:
        wait_for(path)
    return x


@serverless(max_containers=2)
def waits_after_zero(path: str, x: int) -> int:
    """All items but the first wait for a file."""
    if x > 0:
        wait_for(path)
    return x


@serverless(retries=2, max_containers=2)
def at_third(directory: str, x: int) -> int:
    path = os.path.join(directory, str(x))
    with open(path, "a") as file:
        file.write("x")
    if os.path.getsize(path) < 3:
        raise ValueError("not yet")
    return x


@serverless(max_containers=2)
def once_there(path: str, x: int) -> int:
    """Fails until a file is there."""
    if not os.path.exists(path):
        raise ValueError(f"no file for {x}")
    return x


@serverless(max_containers=2)
def tenth(x: int) -> int:
    time.sleep(0.1)
    return x
