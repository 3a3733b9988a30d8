"""The figures of the README rest on this arithmetic."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench import harness
from bench.client import _is_whole
from bench.harness import Row, in_turns, markdown, percentile


@pytest.mark.parametrize(
    ("values", "percent", "wanted"),
    [
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.0),
        (list(range(1, 101)), 95, 95),
        (list(range(1, 21)), 95, 19),
        ([7.0], 95, 7.0),
        ([1.0, 2.0], 100, 2.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float], percent: float, wanted: float
) -> None:
    assert percentile(values, percent) == wanted


def test_a_and_b_take_turns_and_neither_is_always_first() -> None:
    order: list[str] = []

    def a() -> float:
        order.append("a")
        return 1.0

    def b() -> float:
        order.append("b")
        return 2.0

    assert in_turns(a, b, 3) == ([1.0] * 3, [2.0] * 3)
    assert order == ["a", "b", "b", "a", "a", "b"]


def test_cpu_time_grows_with_work_not_with_waiting() -> None:
    busy, idle = [sys.executable, "-c", "while True: pass"], ["sleep", "60"]
    with subprocess.Popen(busy) as works, subprocess.Popen(idle) as waits:
        try:
            harness.wait_until(lambda: harness.cpu_s(works.pid) > 0.5, 20, "it has worked")
            assert harness.cpu_s(waits.pid) < 0.25
        finally:
            works.kill()
            waits.kill()


def test_a_row_without_target_has_no_mark() -> None:
    table = markdown(
        [Row("a", "1 ms", "≤ 2 ms", True), Row("b", "3 ms", "≤ 2 ms", False), Row("c", "x")]
    )
    assert [line.rsplit("|", 2)[1].strip() for line in table.splitlines()[2:]] == ["✓", "✕", ""]


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", True),
    ],
)
def test_an_answer_is_whole_when_its_body_is(answer: bytes, whole: bool) -> None:
    assert _is_whole(answer) is whole


def test_a_side_is_stopped_with_all_its_descendants_and_goes_on_afterwards() -> None:
    script = "sleep 60 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as root:
        assert root.stdout is not None
        child = int(root.stdout.readline())

        def states() -> list[str]:
            stats = [Path(f"/proc/{pid}/stat").read_text() for pid in (root.pid, child)]
            return [stat.rpartition(")")[2].split()[0] for stat in stats]

        try:
            assert harness.family(root.pid) == [root.pid, child]
            with harness.stopped(root.pid) as number:
                assert number == 2
                harness.wait_until(lambda: states() == ["T", "T"], 20, "both are stopped")
            harness.wait_until(lambda: "T" not in states(), 20, "both go on")
        finally:
            os.kill(child, signal.SIGKILL)
