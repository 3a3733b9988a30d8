"""What panels are told, and whether anybody looks: plain decisions."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_faas.notebook.onlookers import SILENT_S, Onlookers
from jupyter_faas.notebook.panel_messages import (
    Wish,
    chosen,
    part_of,
    query,
    read_events,
    status,
    wish_of,
)
from jupyter_faas.wire.sse import Event

STATE: dict[str, Any] = {
    "epoch": "e",
    "seq": 3,
    "provider": "local",
    "url": "http://here",
    "version": "1",
    "functions": [{"name": "a"}, {"name": "b"}],
    "replicas": [{"function": "a", "id": "1"}, {"function": "b", "id": "2"}],
    "revisions": [{"function": "b", "number": 1}],
}


def test_a_panel_of_one_function_gets_its_part() -> None:
    part = part_of(STATE, "a")
    assert part["functions"] == [{"name": "a"}]
    assert part["replicas"] == [{"function": "a", "id": "1"}]
    assert part["revisions"] == []
    assert (part["epoch"], part["seq"]) == ("e", 3)
    assert part_of(STATE, None) == STATE
    assert part_of({}, "a")["functions"] == []


def test_single_calls_go_only_to_who_asked() -> None:
    events = [
        {"kind": "counts", "function": "a"},
        {"kind": "call", "function": "a"},
        {"kind": "call", "function": "b"},
        {"kind": "deleted", "function": "b"},
    ]
    assert chosen(events, Wish("a")) == events[:1]
    assert chosen(events, Wish("a", frozenset({"a"}))) == events[:2]
    assert chosen(events, Wish(None)) == [events[0], events[3]]
    assert chosen(events, Wish(None, frozenset({"b"}))) == [events[0], *events[2:]]


def test_a_gateway_is_asked_for_what_is_wanted() -> None:
    assert query([Wish("a"), Wish("b"), Wish("a")]) == "&functions=a,b"
    assert query([Wish("a"), Wish(None)]) == ""
    assert query([Wish("a", frozenset({"a"}))]) == "&functions=a&calls=1"


def test_events_keep_their_kind() -> None:
    assert read_events([Event('{"seq": 1}', "counts")]) == [{"seq": 1, "kind": "counts"}]


def test_a_status_tells_no_token() -> None:
    told = status("live", {**STATE, "token": "t"})["gateway"]
    assert told == {
        "state": "live", "provider": "local", "url": "http://here", "version": "1", "reason": "",
    }  # fmt: skip


@pytest.mark.parametrize("names", [None, "score", 3, [1, None], {"a": 1}])
def test_what_is_no_list_of_names_counts_as_none(names: Any) -> None:
    assert wish_of("a", {"calls": names, "logs": names}) == Wish("a")


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_silent_view_goes_and_comes_back() -> None:
    clock = Clock()
    views = Onlookers(clock)
    assert views.saw("one")
    assert not views.saw("one")
    clock.now_s = SILENT_S
    assert views.saw("two")
    clock.now_s = SILENT_S + 1
    views.drop_silent(is_deaf=False)
    assert views
    assert views.saw("one")
    views.left("two")
    views.left("one")
    assert not views


def test_while_a_cell_runs_silence_means_nothing() -> None:
    clock = Clock()
    views = Onlookers(clock)
    views.saw("one")
    for _ in range(100):
        clock.now_s += 1
        views.drop_silent(is_deaf=True)
    clock.now_s += SILENT_S
    views.drop_silent(is_deaf=False)
    assert views
    clock.now_s += 1
    views.drop_silent(is_deaf=False)
    assert not views
