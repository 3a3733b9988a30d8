"""What the end-to-end tests deploy: a module next to the caller, as a person would have one."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from jupyter_faas import serverless


@dataclass
class Point:
    x: int
    y: int


@serverless
def double(x: int) -> int:
    return 2 * x


@serverless
def add(a: int, b: int = 10) -> int:
    return a + b


@serverless
def size_of(body: bytes) -> int:
    return len(body)


@serverless
def text(x: str) -> str:
    return f"<{x}>"


@serverless
def raw(n: int) -> bytes:
    return bytes(range(n))


@serverless
def point(x: int) -> Point:
    return Point(x, -x)


@serverless
def not_json() -> Any:
    return {"fine": 1, "rows": [1, object()]}


@serverless
def fail(message: str) -> None:
    raise ValueError(message)


@serverless(max_containers=1)
def count(n: int) -> Iterator[int]:
    yield from range(n)


@serverless
async def count_async(n: int) -> AsyncIterator[int]:
    for i in range(n):
        await asyncio.sleep(0)
        yield i


@serverless
def breaks_off(n: int) -> Iterator[int]:
    yield from range(n)
    raise ValueError("no more")


@serverless(timeout=1.5)
def too_slow(seconds: float) -> None:
    time.sleep(seconds)


@serverless(max_containers=1, queue_timeout=0.3)
def one_at_a_time(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@serverless(max_containers=1)
def waits(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


@serverless(public=True)
def open_to_all(x: int) -> int:
    return x + 1


@serverless(timeout=1.0)
def never_returns() -> None:
    while True:
        pass


@serverless
def dies(how: str) -> None:
    if how == "exit":
        os._exit(3)
    if how == "segfault":
        ctypes.string_at(0)
    os.kill(os.getpid(), 9)


@serverless
def survivor_pid() -> int:
    return os.getpid()


@serverless
def forks() -> tuple[int, int]:
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    return os.getpid(), child


@serverless
def writes(megabytes: int) -> int:
    line = "x" * 1023 + "\n"
    for _ in range(megabytes * 1024):
        sys.stdout.write(line)
    return megabytes


@serverless(memory=256)
def takes_memory(mebibytes: int) -> int:
    return len(bytearray(mebibytes << 20))


@serverless
def length(x: bytes) -> int:
    return len(x)


@serverless
def make_bytes(n: int) -> bytes:
    return bytes(n)


@serverless
def unpicklable_result() -> Any:
    return {"lock": threading.Lock()}


@serverless
def unpicklable_error() -> None:
    class Odd(Exception):
        def __init__(self, a: int, b: int) -> None:
            super().__init__(f"odd {a} {b}")

    raise Odd(1, 2)


@serverless
def reads_input() -> str:
    return input("name? ")


@serverless
def exits() -> None:
    sys.exit("enough")


@serverless(max_containers=1)
def marks_its_end(path: str, seconds: float) -> None:
    """Writes `started`, then `ended: …` when its code really stops."""
    with open(path, "w") as file:
        try:
            print("started", file=file, flush=True)
            time.sleep(seconds)
            print("ended: finished", file=file, flush=True)
        except BaseException as error:
            print(f"ended: {type(error).__name__}", file=file, flush=True)
            raise
