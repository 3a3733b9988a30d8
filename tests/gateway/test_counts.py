"""What a function has come to: over its revisions, and over lives of the gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_faas.core.model import (
    Code,
    Function,
    Outcome,
    Revision,
    RevisionSpec,
    RevisionState,
)
from jupyter_faas.core.slots import WaitingRoom
from jupyter_faas.gateway.activator import Activator
from jupyter_faas.gateway.counts import counts_of, past_of
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.metering import Used
from jupyter_faas.gateway.past import NO_PAST, Past
from jupyter_faas.gateway.store.stored import stored_contents
from tests.gateway.conftest import Bench

SPEC = RevisionSpec(code=Code(digest="d", size_bytes=1, entry="f", python="3.11"))


def revision_entry(past: Past = NO_PAST) -> RevisionEntry:
    owner = FunctionEntry(Function(name="f", latest=1), past)
    revision = Revision(
        function="f", number=1, id="1", spec=SPEC, created_at=0.0, state=RevisionState.READY
    )
    owner.revisions[1] = RevisionEntry(owner, revision)
    return owner.revisions[1]


@pytest.fixture
def activator() -> Activator:
    return Activator(WaitingRoom(10, 10), lambda: 0.0, lambda _entry: None)


def test_what_was_counted_before_goes_on(activator: Activator) -> None:
    past = Past(
        outcomes={Outcome.DONE: 3, Outcome.ERROR: 1, Outcome.CANCELLED: 1, Outcome.DEAD: 2},
        latency=[0] * 10 + [7],
        cold_starts=1,
        rejected=4,
        memory_mib_s=1.5,
        items=6,
    )
    entry = revision_entry(past)
    assert counts_of(entry.function) == (
        *(0, 0, 7, 7, 1, 1, 1, 2, 4, 1),
        *(0.768, 0.998, 1.5, 6),
    )
    pool = activator.pool(entry)
    pool.accepted += 1
    pool.count(Outcome.LOST, 0.5, 0.0, is_cold=True)
    now = counts_of(entry.function, Used(2.0, 1))
    assert (now.accepted, now.ended, now.errors, now.user_errors) == (8, 8, 2, 1)
    assert (now.cold_starts, now.memory_mib_s, now.items) == (2, 3.5, 7)
    assert (
        counts_of(FunctionEntry(entry.function.function, past_of(entry.function, Used(2.0, 1))))
        == now
    )


def test_what_a_removed_revision_has_counted_stays(activator: Activator) -> None:
    entry = revision_entry()
    pool = activator.pool(entry)
    pool.accepted += 1
    pool.done += 1
    pool.count(Outcome.DONE, 0.5, 0.0, is_cold=True)
    before = counts_of(entry.function)
    activator.forget(entry)
    assert entry.pool is None
    assert counts_of(entry.function) == before


async def test_the_store_tells_what_the_gateway_tells(bench: Bench) -> None:
    front = await bench.ready()
    front.on_call = lambda call: call.answer()
    for _ in range(3):
        assert (await bench.call()).status == 200
    await bench.records(3)
    live = bench.service.views.counts(bench.entry().function)
    assert (live.accepted, live.ended) == (3, 3)
    contents = stored_contents(Path(bench.service.settings.state_dir) / "faas.db")
    (function,) = contents.functions
    assert counts_of(FunctionEntry(function, contents.pasts["default", "f"])) == live
