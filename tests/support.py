"""What tests of several parts share: waiting on a predicate, state directories, process checks."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.005


def wait_until(
    predicate: Callable[[], T],
    timeout_s: float = 20.0,
    *,
    what: str = "",
    seen: Callable[[], object] | None = None,
) -> T:
    """Return the first true value of `predicate`, asked every few milliseconds.

    Args:
        predicate: Asked again and again; its true value is returned.
        timeout_s: Seconds until the test fails.
        what: What is awaited, for the failure's text.
        seen: Called at a time-out; what it returns is printed.

    Raises:
        AssertionError: It never became true; the text says what was seen last.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            shown = seen() if seen is not None else value
            raise AssertionError(f"not within {timeout_s} s: {what or predicate}; seen: {shown!r}")
        time.sleep(POLL_S)


def wait_for_cards() -> None:
    """Wait until nothing moves a card: it may be asking, and gives its connection back then."""
    wait_until(lambda: "jupyter-faas-card" not in [one.name for one in threading.enumerate()])


@contextmanager
def state_dir(prefix: str = "faas-") -> Iterator[Path]:
    """Give a private directory with a path short enough for Unix sockets (108 bytes)."""
    with TemporaryDirectory(prefix=prefix, dir="/tmp", ignore_cleanup_errors=True) as path:
        os.chmod(path, 0o700)
        yield Path(path)


@contextmanager
def untraced() -> Iterator[None]:
    """Start processes that measure no coverage.

    For what a tracer breaks: Python 3.11 loops for ever if one thread is traced while an
    asynchronous exception waits for another.
    """
    traced = os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
    try:
        yield
    finally:
        if traced is not None:
            os.environ["COVERAGE_PROCESS_CONFIG"] = traced


def is_alive(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    return birth(pid) is not None


def birth(pid: int) -> int | None:
    """Return when a living process began, in ticks since the machine did; None: there is none.

    A number is given again when all have been: with this it names one process.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat.rpartition(b")")[2].split()
    return None if state in (b"Z", b"X") else int(fields[18])


def children(pid: int) -> list[int]:
    """Return the direct children of a process that are alive."""
    found: list[int] = []
    threads: list[str] = []
    with suppress(FileNotFoundError, ProcessLookupError):  # it may end at any moment
        threads = os.listdir(f"/proc/{pid}/task")
    for thread in threads:
        with suppress(FileNotFoundError, ProcessLookupError):
            told = Path(f"/proc/{pid}/task/{thread}/children").read_text()
            found.extend(int(word) for word in told.split())
    return [child for child in found if is_alive(child)]


def descendants(pid: int) -> list[int]:
    """Return all living processes below `pid`."""
    found: list[int] = []
    for child in children(pid):
        found.append(child)
        found.extend(descendants(child))
    return found


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback that nobody has, for servers that must be told theirs.

    Not those that the kernel gives to connections: one of them could have it before the server.
    """
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(max(1024, first - 10_000), first) or range(20_000, 30_000)
    found: list[int] = []
    for port in random.SystemRandom().sample(ports, len(ports)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return found


def open_fds(pid: int | None = None) -> int:
    """Return how many file descriptors a process (default: this one) holds."""
    return len(os.listdir(f"/proc/{pid or os.getpid()}/fd"))
