"""What waits for one page: nothing that is still true is lost, nothing is told twice."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.server.event import Event, Snapshot, read_event, read_snapshot
from jupyter_faas.server.outbox import MOST_CALLS, Bounds, Outbox
from jupyter_faas.server.status import GatewayStatus
from jupyter_faas.wire.sse import Event as SseEvent


def event(seq: int, id: str = "r", kind: str = "replica", function: str = "f") -> Event:
    said = {"seq": seq, "at": 1.0, "namespace": "n", "function": function, "id": id, "value": seq}
    return read_event(SseEvent(msgspec.json.encode(said).decode(), kind, f"e.{seq}"))


def snapshot(seq: int, epoch: str = "e") -> Snapshot:
    state = {"epoch": epoch, "seq": seq, "provider": "local", "version": "1", "functions": []}
    return read_snapshot(msgspec.json.encode(state))


def told(outbox: Outbox) -> list[dict[str, Any]]:
    return [msgspec.json.decode(message) for message in outbox.take()]


def numbers(messages: list[dict[str, Any]]) -> list[int]:
    return [one["seq"] for message in messages for one in message.get("events", ())]


def current(seq: int = 0) -> Outbox:
    outbox = Outbox()
    outbox.put_snapshot(snapshot(seq))
    outbox.take()
    return outbox


def test_at_first_comes_the_gateway_then_the_state_then_what_happened_since() -> None:
    outbox = Outbox()
    assert not outbox.has_news
    outbox.put_event(event(3, "a"))
    outbox.put_event(event(8, "b"))
    assert not outbox.has_news, "events say nothing without the state they change"
    outbox.put_snapshot(snapshot(5))
    outbox.put_status(GatewayStatus(state="live"))
    messages = told(outbox)
    assert [one["type"] for one in messages] == ["gateway", "snapshot", "events"]
    assert messages[0]["gateway"]["state"] == "live"
    assert numbers(messages) == [8], "3 is in the state"
    assert not outbox.has_news


def test_a_sign_of_life_and_the_status_do_not_wait_for_a_state() -> None:
    outbox = Outbox()
    outbox.put_line("f", b"{}")
    outbox.put_sign_of_life()
    outbox.put_status(GatewayStatus(state="live"))
    assert outbox.is_urgent
    first = [msgspec.json.decode(message)["type"] for message in outbox.take_status()]
    assert first == ["alive", "gateway"]
    outbox.put_snapshot(snapshot(5))
    assert [one["type"] for one in told(outbox)] == ["snapshot", "log"]
    assert not outbox.has_news


def test_an_event_is_told_as_the_contract_has_it() -> None:
    outbox = current()
    outbox.put_event(event(1))
    ((one,),) = (message["events"] for message in told(outbox))
    assert one == {
        "seq": 1, "kind": "replica", "at": 1.0, "namespace": "n", "function": "f", "id": "r",
        "value": 1,
    }  # fmt: skip  # one line is one event


def test_of_each_thing_only_the_newest_waits_in_order() -> None:
    outbox = current()
    for seq, id in enumerate("abab", start=1):
        outbox.put_event(event(seq, id))
    assert numbers(told(outbox)) == [3, 4]


def test_too_much_is_dropped_and_only_a_snapshot_from_after_it_helps() -> None:
    outbox = Outbox(Bounds(things=2))
    outbox.put_snapshot(snapshot(0))
    outbox.take()
    for seq, id in enumerate("abc", start=1):
        outbox.put_event(event(seq, id))
    assert outbox.is_behind
    outbox.put_event(event(4, "d"))
    assert told(outbox) == []
    outbox.put_snapshot(snapshot(2))
    assert outbox.is_behind, "event 3 was dropped and is not in this state"
    outbox.put_snapshot(snapshot(3))
    messages = told(outbox)
    assert [one["type"] for one in messages] == ["snapshot", "events"]
    assert numbers(messages) == [4]


def test_bytes_are_bounded_too() -> None:
    outbox = Outbox(Bounds(event_bytes=10))
    outbox.put_snapshot(snapshot(0))
    outbox.put_event(event(1))
    assert outbox.is_behind


def test_another_gateway_process_begins_anew_whatever_its_numbers() -> None:
    outbox = current(100)
    outbox.put_event(event(101))
    outbox.put_snapshot(snapshot(5, "other"), is_other=True)
    messages = told(outbox)
    assert [one["type"] for one in messages] == ["snapshot"]
    outbox.put_event(event(6))
    assert numbers(told(outbox)) == [6]


def test_of_calls_and_lines_the_newest_are_told() -> None:
    outbox = Outbox(Bounds(log_bytes=20))
    for seq in range(MOST_CALLS + 10):
        outbox.put_call(event(seq, str(seq), "call"))
    for n in range(10):
        outbox.put_line("f", b'{"n":%d}' % n)
    outbox.put_line("g", b'{"n":99}')
    messages = told(outbox)
    assert numbers(messages) == list(range(10, MOST_CALLS + 10))
    logs = {one["function"]: one["lines"] for one in messages if one["type"] == "log"}
    assert logs == {"f": [{"n": 9}], "g": [{"n": 99}]}


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from("abcdef")),
        st.tuples(st.sampled_from(["snapshot", "late", "take"]), st.just("")),
    ),
    max_size=60,
)


class PlayedPage:
    """A page and the gateway behind it: what is true, and what the page has been told."""

    def __init__(self) -> None:
        self.outbox = Outbox(Bounds(things=3))
        self.truth: dict[str, int] = {}
        self.shown: dict[str, int] = {}
        self.asked: tuple[int, dict[str, int]] = (0, {})
        self.seq = 0

    def step(self, what: str, id: str) -> None:
        if what == "event":
            self.seq += 1
            self.truth[id] = self.seq
            self.outbox.put_event(event(self.seq, id))
        elif what == "late":
            self.asked = (self.seq, dict(self.truth))  # asked for now, it comes later
        elif what == "snapshot":
            self.catch_up()
        else:
            self.read()

    def catch_up(self) -> None:
        if self.outbox.is_behind:
            seq, functions = self.asked
            state = {"epoch": "e", "seq": seq, "provider": "", "version": ""}
            state["functions"] = functions  # type: ignore[assignment]
            self.outbox.put_snapshot(read_snapshot(msgspec.json.encode(state)))

    def read(self) -> None:
        for message in told(self.outbox):
            if message["type"] == "snapshot":
                self.shown = dict(message["state"]["functions"])
            for one in message.get("events", ()):
                assert one["value"] > self.shown.get(one["id"], 0), "told twice, or too late"
                self.shown[one["id"]] = one["value"]


@given(_STEPS)
def test_a_page_that_reads_to_the_end_knows_what_is_true(steps: list[tuple[str, str]]) -> None:
    page = PlayedPage()
    for step in steps:
        page.step(*step)
    page.step("late", "")
    page.catch_up()
    page.read()
    assert page.shown == page.truth
