"""What these tests deploy."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from jupyter_faas import serverless


@serverless(scaledown_window=1)
def double(x: int) -> int:
    print(f"doubling {x}")
    return 2 * x


@serverless(max_containers=1)
def size_of(body: bytes) -> int:
    return len(body)


@serverless(max_containers=1)
def page(body: bytes) -> str:
    return "<script>alert(1)</script>"


@serverless(max_containers=1)
def count(n: int) -> Iterator[int]:
    for i in range(n):
        yield i
        time.sleep(0.05)


@serverless(max_containers=1)
def answers_back(path: str) -> Iterator[int]:
    """The second item is made once a file says that the first has come."""
    yield 0
    until_s = time.monotonic() + 30
    while not os.path.exists(path):
        if time.monotonic() > until_s:
            raise TimeoutError("The first item has not come.")
        time.sleep(0.01)
    yield 1


@serverless(max_containers=1)
def waits(seconds: float) -> str:
    time.sleep(seconds)
    return "done"
