"""What these tests deploy."""

from __future__ import annotations

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
def waits(seconds: float) -> str:
    time.sleep(seconds)
    return "done"
