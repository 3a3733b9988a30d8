"""What comes back of a map: which item failed, and who is told what else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from jupyter_faas.client.map_left import Left
from jupyter_faas.client.map_outcomes import Outcomes
from jupyter_faas.client.map_progress import MapProgress
from jupyter_faas.client.session import session
from jupyter_faas.core import batch
from jupyter_faas.core.batch import RAISED, Head
from jupyter_faas.core.context import REPLICA_VARIABLE
from jupyter_faas.core.errors import ReplicaLost, to_problem
from jupyter_faas.core.mapping import MapState
from jupyter_faas.wire.frames import Frame, FrameKind, encode

NOTE = "The replicas run the map: there is no Ray."


def outcomes(said: list[str]) -> Outcomes:
    plan: Any = SimpleNamespace(
        name="f",
        output=SimpleNamespace(write=lambda _stream, text: said.append(text)),
        progress=MapProgress("f.map", lambda: 0.0),
        left=Left("f.map", 3),
        returns_exceptions=True,
        order=SimpleNamespace(wants_results=True),
        is_silent=False,
    )
    return Outcomes(plan)


def fault(**problem: Any) -> bytes:
    return msgspec.msgpack.encode({"problem": problem})


@pytest.mark.parametrize(("replica", "told"), [("", [NOTE + "\n"]), ("r-1", [])])
def test_a_note_is_told_once_and_not_among_the_prints_of_a_call(
    monkeypatch: pytest.MonkeyPatch, replica: str, told: list[str]
) -> None:
    monkeypatch.setattr(session, "told", set())
    if replica:
        monkeypatch.setenv(REPLICA_VARIABLE, replica)
    said: list[str] = []
    state = MapState(id="m", function="f", namespace="default", state="running", note=NOTE)
    for _ in range(2):
        outcomes(said).feed(encode(Frame(FrameKind.PROGRESS, msgspec.msgpack.encode(state))))
    assert said == told


def test_what_the_platform_says_of_an_item_names_it_once() -> None:
    one = outcomes([])
    bodies = [
        fault(**to_problem(ReplicaLost("Killed.", traceback="Traceback:\n  of it"))),
        fault(**to_problem(ReplicaLost("Item 5: cannot be sent."))),
    ]
    head = Head([3, 5], bytes([RAISED, RAISED]), [len(body) for body in bodies])
    one.feed(encode(Frame(FrameKind.ITEM, b"".join(batch.pack(head, bodies)))))
    killed, unsent = one.next(), one.next()
    assert (str(killed), str(unsent)) == ("Item 3: Killed.", "Item 5: cannot be sent.")
    assert killed.__notes__ == ["\nWhere f crashed (item 3):\nTraceback:\n  of it"]
    assert not hasattr(unsent, "__notes__")
