"""Which captured names mean something else by now."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_faas.core.capture import capture
from tests.core.kernels import notebook

CELL = """
import dataclasses
import numpy as np

THRESHOLD = 0.5
PARAMS = {"a": [1, 2]}
SMALL = np.arange(4)
LARGE = np.zeros(100_000)

def helper(x, by=2):
    return x * by

@dataclasses.dataclass
class Point:
    x: int = 0
    @property
    def half(self):
        return self.x / 2

def score(x):
    return helper(x), THRESHOLD, PARAMS, SMALL, LARGE, Point()
"""


@pytest.fixture
def names() -> dict[str, Any]:
    return notebook(CELL)


def test_nothing_has_changed_where_every_cell_was_run_again(names: dict[str, Any]) -> None:
    captured = capture(names["score"])
    large = names["LARGE"]
    exec(compile(CELL, "/tmp/ipykernel_1/8.py", "exec", dont_inherit=True), names)
    names["LARGE"] = large  # of what is large only the identity is known
    assert captured.changed_names() == []
    assert not captured.is_current()  # which asks less, and captures anew


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("THRESHOLD = 0.9", ["THRESHOLD"]),
        ("THRESHOLD = 1", ["THRESHOLD"]),
        ("del THRESHOLD", ["THRESHOLD"]),
        ("PARAMS['a'].append(3)", ["PARAMS"]),
        ("SMALL[2] = 7", ["SMALL"]),
        ("LARGE = np.zeros(100_000)", ["LARGE"]),
        ("def helper(x, by=2): return x + by", ["helper"]),
        ("def helper(x, by=3): return x * by", ["helper"]),
        ("Point = dataclasses.make_dataclass('Point', ['x'])", ["Point"]),
        ("THRESHOLD, PARAMS = 0.1, {}", ["THRESHOLD", "PARAMS"]),
        ("unrelated = 3", []),
        ("PARAMS = {'a': [1, 2]}", []),
    ],
)
def test_a_name_that_means_something_else_is_named(
    names: dict[str, Any], change: str, expected: list[str]
) -> None:
    captured = capture(names["score"])
    exec(change, names)
    assert sorted(captured.changed_names()) == sorted(expected)


def test_names_that_helpers_use_count_and_going_back_changes_nothing() -> None:
    names = notebook("LIMIT = 3\ndef inner(): return LIMIT\ndef outer(): return inner()")
    captured = capture(names["outer"])
    names["LIMIT"] = 4
    assert captured.changed_names() == ["LIMIT"]
    names["LIMIT"] = 3
    assert captured.changed_names() == []
