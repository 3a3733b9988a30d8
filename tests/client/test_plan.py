"""Which revision is reused, as a table."""

from __future__ import annotations

import msgspec
import pytest

from jupyter_faas.client.plan import Known, reusable
from jupyter_faas.client.views import Revision
from jupyter_faas.core import model
from jupyter_faas.core.model import RevisionState

DECLARED = model.FunctionSettings()
OTHER = model.FunctionSettings(public=True)


def known(
    latest: int, traffic: dict[int, int], states: dict[int, RevisionState], declared: object
) -> Known:
    spec = model.RevisionSpec(code=model.Code(digest="", size_bytes=0, entry="f", python="3"))
    function = model.Function(
        name="f",
        latest=latest,
        traffic=traffic,
        declared=declared,  # type: ignore[arg-type]
    )
    return Known(
        function,
        [
            Revision(function="f", number=n, id=f"id{n}", spec=spec, created_at=0.0, state=state)
            for n, state in states.items()
        ],
    )


READY, PENDING, FAILED = RevisionState.READY, RevisionState.PENDING, RevisionState.FAILED


@pytest.mark.parametrize(
    ("latest", "traffic", "states", "declared", "id", "expected"),
    [
        (1, {1: 100}, {1: READY}, DECLARED, "id1", 1),
        (1, {1: 100}, {1: READY}, None, "id1", 1),
        (1, {1: 100}, {1: READY}, OTHER, "id1", None),
        (1, {1: 100}, {1: READY}, DECLARED, "new", None),
        (2, {1: 100}, {1: READY, 2: PENDING}, DECLARED, "id2", 2),
        (2, {1: 100}, {1: READY, 2: PENDING}, DECLARED, "id1", None),
        (2, {1: 100}, {1: READY, 2: FAILED}, DECLARED, "id2", None),
        (2, {1: 90, 2: 10}, {1: READY, 2: READY}, DECLARED, "id2", 2),
        (1, {1: 100}, {1: READY, 2: READY}, DECLARED, "id2", None),
    ],
)
def test_code_is_reused_only_where_it_is_the_latest_and_gets_calls(
    latest: int,
    traffic: dict[int, int],
    states: dict[int, RevisionState],
    declared: object,
    id: str,
    expected: int | None,
) -> None:
    found = reusable(known(latest, traffic, states, declared), id, DECLARED)
    assert (found.number if found else None) == expected


def test_nothing_known_means_deploy() -> None:
    assert reusable(None, "id", DECLARED) is None


def test_code_whose_cell_was_reworded_is_told_to_the_gateway() -> None:
    said = model.Origin(notebook="n.ipynb", cell_id="c", source_digest="1")
    there = known(1, {1: 100}, {1: READY}, DECLARED)
    (one,) = there.revisions
    there = Known(there.function, [msgspec.structs.replace(one, origin=said)])
    reworded = msgspec.structs.replace(said, source_digest="2")
    elsewhere = msgspec.structs.replace(reworded, notebook="copy.ipynb")
    assert reusable(there, "id1", DECLARED, said)
    assert reusable(there, "id1", DECLARED, reworded) is None
    assert reusable(there, "id1", DECLARED, elsewhere)
    assert reusable(there, "id1", DECLARED)
