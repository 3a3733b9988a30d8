from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.errors import EventsGone
from jupyter_faas.core.model import InvocationRecord, Outcome
from jupyter_faas.gateway import event_stream
from jupyter_faas.gateway.announce import COUNTS_EVERY
from jupyter_faas.gateway.event_stream import MAX_CALLS, Batches, Wish, parse_since, pause_s, stream
from jupyter_faas.gateway.events import EventLog, about
from jupyter_faas.gateway.store.rows import row_of
from tests.gateway.conftest import Bench, until


def log(kept: int = 100) -> EventLog:
    return EventLog(lambda: 5.0, kept)


def seqs(events: Any) -> list[int]:
    return [event.seq for event in events]


def read(chunk: bytes) -> list[tuple[str, str, Any]]:
    """Return (id, kind, data) of the events in some SSE bytes."""
    found = []
    for block in chunk.decode().strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append((fields["id"], fields["event"], msgspec.json.decode(fields["data"])))
    return found


async def opened(events: EventLog, wish: Wish, snapshot: Any = dict) -> AsyncIterator[bytes]:
    chunks = stream(Batches(events), wish, snapshot)
    assert (await anext(chunks)).startswith(b"retry:")
    return chunks


def test_events_are_read_from_a_number_on_in_order() -> None:
    events = log()
    for n in range(5):
        events.publish("replica", function="f", id=str(n))
    assert seqs(events.since(0)) == [1, 2, 3, 4, 5]
    assert seqs(events.since(3)) == [4, 5]
    assert events.since(5) == []


def test_a_number_that_is_too_old_or_of_another_process_is_gone() -> None:
    events = log(kept=3)
    for n in range(5):
        events.publish("replica", id=str(n))
    assert seqs(events.since(2)) == [3, 4, 5]
    for wrong in (1, 0, 6):
        with pytest.raises(EventsGone):
            events.since(wrong)
    events.check_epoch("")
    events.check_epoch(events.epoch)
    with pytest.raises(EventsGone):
        events.check_epoch("other")


def test_a_flood_of_calls_does_not_push_out_state() -> None:
    events = log(kept=10)
    events.publish("function", function="f")
    for n in range(50):
        events.publish("call", function="f", id=str(n))
    events.publish("replica", function="f")
    assert seqs(events.since(0)) == [1, 52]
    assert seqs(events.since(40, with_calls=True)) == [*range(42, 53)]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), max_size=40))
def test_only_the_newest_of_each_thing_is_told(published: list[tuple[str, str]]) -> None:
    events = log()
    for function, id in published:
        events.publish("replica", function=function, id=id)
    told = events.since(0)
    assert seqs(told) == sorted(seqs(told))
    newest = {thing: n for n, thing in enumerate(published, start=1)}
    assert {(event.function, event.id): event.seq for event in told} == newest


def test_events_are_chosen_by_namespace_and_function() -> None:
    events = log()
    events.publish("function", namespace="a", function="f")
    events.publish("function", namespace="b", function="f")
    events.publish("function", namespace="a", function="g")
    assert seqs(about(events.since(0), "a", frozenset())) == [1, 3]
    assert seqs(about(events.since(0), None, {"f"})) == [1, 2]


async def test_a_reader_gets_what_came_and_what_comes_in_batches() -> None:
    events = log()
    events.publish("replica", namespace="default", function="f", id="r", value={"n": 1})
    events.publish("replica", namespace="default", function="f", id="r", value={"n": 2})
    chunks = await opened(events, Wish(0, max_hz=1000.0))
    ((id, kind, data),) = read(await anext(chunks))
    assert (id, kind) == (f"{events.epoch}.2", "replica")
    assert (data["seq"], data["value"], data["function"]) == (2, {"n": 2}, "f")
    assert events.has_readers
    waiting = asyncio.ensure_future(anext(chunks))
    await asyncio.sleep(0)
    events.publish("deleted", namespace="default", function="f")
    assert read(await waiting)[0][1] == "deleted"
    await chunks.aclose()  # type: ignore[attr-defined]
    assert not events.has_readers


async def test_a_reader_that_fell_behind_gets_a_snapshot_and_goes_on() -> None:
    events = log(kept=5)
    chunks = await opened(events, Wish(0, max_hz=1000.0), lambda: {"seq": events.seq})
    for n in range(50):
        events.publish("replica", function="f", id=str(n))
    assert read(await anext(chunks)) == [(f"{events.epoch}.50", "snapshot", {"seq": 50})]
    events.publish("deleted", function="f")
    assert read(await anext(chunks))[0][1] == "deleted"


async def test_calls_go_to_readers_who_ask_and_not_without_bound() -> None:
    events = log(kept=2000)
    with_calls = await opened(events, Wish(0, max_hz=1000.0, with_calls=True))
    assert events.wants_calls
    without = await opened(events, Wish(0, max_hz=1000.0))
    for n in range(MAX_CALLS + 100):
        events.publish("call", function="f", id=str(n), value={"id": str(n)})
    events.publish("function", function="f")
    got = read(await anext(with_calls))
    assert len(got) == MAX_CALLS + 1
    assert got[-2][2]["value"]["id"] == str(MAX_CALLS + 99)
    assert [kind for _, kind, _ in read(await anext(without))] == ["function"]


async def test_readers_that_want_the_same_share_what_is_made_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_stream, "SHARED_S", 60.0)  # however long a machine stands still
    events = log()
    shown: list[int] = []
    batches = Batches(events)
    wishes = [Wish(0, max_hz=1000.0)] * 50 + [Wish(0, functions=frozenset("g"), max_hz=1000.0)]
    readers = [stream(batches, wish, dict) for wish in wishes]
    for reader in readers:
        await anext(reader)
    events.publish("function", function="f", value=lambda: shown.append(1) or {})
    got = await asyncio.gather(*(anext(reader) for reader in readers[:50]))
    assert len(set(got)) == 1
    assert shown == [1]
    events.publish("function", function="g")
    assert [data["function"] for _, _, data in read(await anext(readers[50]))] == ["g"]
    for reader in readers:
        await reader.aclose()  # type: ignore[attr-defined]


@given(st.floats(0, 1e6), st.floats(0.01, 10))
def test_a_reader_pauses_a_period_and_then_wakes_with_the_others(
    now_s: float, period_s: float
) -> None:
    pause = pause_s(now_s, period_s)
    assert period_s * 0.999 <= pause <= 2 * period_s
    ticks = (now_s + pause) / period_s
    assert ticks == pytest.approx(round(ticks), abs=1e-3)


@pytest.mark.parametrize("text", ["", "x", "a.", "-1", "1.x", "²"])
def test_a_since_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_since(text)


def test_a_since_may_name_its_epoch() -> None:
    assert parse_since("42") == ("", 42)
    assert parse_since("1f3a.42") == ("1f3a", 42)


async def test_what_happens_to_a_function_is_told(bench: Bench) -> None:
    events = bench.service.events
    await bench.ready()
    kinds = {event.kind for event in events.since(0)}
    assert {"function", "revision", "replica", "scaling"} <= kinds
    (revision,) = (event.shown for event in events.since(0) if event.kind == "revision")
    assert (revision["number"], revision["state"]) == (1, "ready")
    assert revision["origin"]["sourceDigest"] == ""
    told = [event.shown for event in events.since(0) if event.kind == "scaling"]
    assert told[0]["reason"] == "0 → 1: the first replica of revision 1"
    await bench.service.registry.delete("default", "f")
    assert "deleted" in {event.kind for event in events.since(0)}


async def test_counts_are_told_when_they_change_and_only_to_readers(bench: Bench) -> None:
    events = bench.service.events
    await bench.ready()
    await bench.call()
    assert "counts" not in {event.kind for event in events.since(0)}
    leave = events.add_reader(with_calls=True)
    await bench.call()

    def ended() -> list[int]:
        return [event.shown["ended"] for event in events.since(0) if event.kind == "counts"]

    # A look in the middle of the call has told of the first one alone.
    await until(lambda: ended() == [2], "counts")
    await until(
        lambda: [event for event in events.since(0, with_calls=True) if event.kind == "call"],
        "a call",
    )
    before = events.seq
    for _ in range(COUNTS_EVERY):
        bench.service.announcer.look()
    assert events.seq == before
    leave()


async def test_a_replica_that_becomes_busy_and_idle_is_told_to_readers(bench: Bench) -> None:
    events = bench.service.events
    front = await bench.ready()
    front.on_call = lambda call: None
    leave = events.add_reader(with_calls=False)

    def told() -> list[tuple[str, int]]:
        shown = [one.shown for one in events.since(0) if one.kind == "replica"]
        return [(one["state"], one["inFlight"]) for one in shown]

    call = bench.calling()
    await until(lambda: told() == [("busy", 1)], "busy")
    (held,) = await bench.calls(1)
    held.answer()
    await call
    await until(lambda: told() == [("ready", 0)], "idle")
    leave()


async def test_single_calls_are_not_told_when_nobody_asks(bench: Bench) -> None:
    record = InvocationRecord(
        id="x", function="f", revision=1, outcome=Outcome.DONE, started_at=1.0
    )
    bench.service.announcer.on_records([row_of(record)])
    assert bench.service.events.since(0, with_calls=True) == []
