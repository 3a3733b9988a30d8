"""The lines of a deployment card: what changed with its diff, and the line for a shell."""

from __future__ import annotations

import json
import linecache
import shlex
from typing import Any

import pytest

from jupyter_faas.client.card import call_text
from jupyter_faas.client.card_seen import Seen, changes, seen_of
from jupyter_faas.client.curl import curl_line
from jupyter_faas.client.target import make_target
from jupyter_faas.core.signature import parameters_of

NOTEBOOK = """
THRESHOLD = 0.5
LABELS = ["a", "b"]
SECRET = "hush"

def helper(x):
    return x * 2

def score(x):
    return helper(x) > THRESHOLD and LABELS and SECRET
"""


def test_a_function_is_seen_with_what_it_refers_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        linecache.cache, "<a cell>", (len(NOTEBOOK), None, NOTEBOOK.splitlines(True), "<a cell>")
    )
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(NOTEBOOK, "<a cell>", "exec"), names)
    seen = seen_of(names["score"])
    assert list(seen.sources) == ["score", "helper"]
    assert "x * 2" in seen.sources["helper"]
    assert seen.numbers == {"THRESHOLD": "0.5"}
    assert set(seen.others) == {"LABELS", "SECRET"}
    assert "hush" not in repr(seen.others)


def test_what_changed_is_told_in_words_with_a_diff() -> None:
    was = Seen(
        {"score": "def score():\n    a\n    b\n", "helper": "x\n"},
        {"threshold": "0.5", "n": "1"},
        {"df": 1, "old": 2},
    )
    now = Seen(
        {"score": "def score():\n    a\n    c\n    d\n", "helper": "y\n"},
        {"threshold": "0.9", "n": "1"},
        {"df": 3, "new": 4},
    )
    phrases, diff = changes(was, now)
    assert phrases == [
        "code (2 lines)",
        "helper (1 line)",
        "threshold 0.5 → 0.9",
        "df changed",
        "new added",
        "old removed",
    ]
    assert "-    b" in diff
    assert "+    d" in diff
    assert "helper now" in diff
    assert changes(now, now) == ([], "")


def test_a_number_that_became_something_else_is_told_once() -> None:
    was, now = Seen({}, {"limit": "3"}, {}), Seen({}, {}, {"limit": "digest"})
    assert changes(was, now) == (["limit changed"], "")


def test_a_long_diff_is_cut() -> None:
    was = Seen({"f": "\n".join(map(str, range(2000)))})
    _, diff = changes(was, Seen({"f": ""}))
    assert "more lines" in diff.splitlines()[-1]
    assert len(diff.splitlines()) < 500


def call(text: str, count: int = 3, *, note: str = "it's", **more: Any) -> None: ...


def test_the_line_for_a_shell_can_be_run() -> None:
    line = curl_line("http://h:1/function/call", parameters_of(call))
    words = shlex.split(line.replace("$(jupyter-faas auth-header)", "HEADER"))
    assert words[:4] == ["curl", "-H", "HEADER", "-d"]
    assert json.loads(words[4]) == {"text": "text"}
    assert words[5] == "http://h:1/function/call"
    assert "-H 'Faas-Method: predict'" in curl_line("u", (), "predict")


def test_a_card_names_only_calls_that_can_be_written() -> None:
    def score(text):  # type: ignore[no-untyped-def]
        return text

    assert call_text(make_target(score, {})) == "score.remote(text)"
    unnamed = make_target(lambda text: text, {"name": "short"})
    assert call_text(unnamed) == "faas.function('short').remote(text)"
