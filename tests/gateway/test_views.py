"""What is shown of functions: the parts that need no running gateway."""

from __future__ import annotations

from jupyter_faas.core.model import Code, Function, Revision, RevisionSpec, RevisionState
from jupyter_faas.gateway.autoscaler import Scaled
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.views import Views

SPEC = RevisionSpec(code=Code(digest="d", size_bytes=1, entry="f", python="3.11"))


def function_with(numbers: list[int], traffic: dict[int, int]) -> FunctionEntry:
    entry = FunctionEntry(Function(name="f", latest=max(numbers), traffic=traffic))
    for number in numbers:
        revision = Revision(
            function="f",
            number=number,
            id=str(number),
            spec=SPEC,
            created_at=0.0,
            state=RevisionState.READY,
        )
        entry.revisions[number] = RevisionEntry(entry, revision)
    return entry


def test_the_decision_shown_is_about_what_is_live_even_if_a_retired_one_went_later() -> None:
    entry = function_with([1, 2], {2: 100})
    decisions = {
        1: Scaled(entry.revisions[1], 1, 0, "no traffic goes here any more", 20.0),
        2: Scaled(entry.revisions[2], 0, 3, "3 queued", 10.0),
    }
    views = Views(lambda _: (), lambda one: decisions.get(one.number), lambda: "http://here")
    assert views.function(entry)["scaled"]["reason"] == "3 queued"
    del decisions[2]
    assert views.function(entry)["scaled"]["revision"] == 1
    decisions.clear()
    assert views.function(entry)["scaled"] is None
