"""What people read when a seat of Ray fails, and what is held against a function."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_faas.core.errors import FaasError, ProviderError, QueueFull
from jupyter_faas.core.mapping import MapFunction
from jupyter_faas.fanout.ray.backend import MOST_FAILURES, RaySeats, Seated
from jupyter_faas.fanout.ray.reasons import has_left, reason

RAW = (
    "The actor is not schedulable: The node specified via NodeAffinitySchedulingStrategy doesn't "
    "exist any more or is infeasible, and soft=False was specified. Actor ID: 9f2c"
)


def of_ray(name: str, base: type[Exception] = Exception, text: str = RAW) -> Exception:
    """An error of a kind that Ray has."""
    return type(name, (base,), {"__module__": "ray.exceptions"})(text)


def test_rays_own_texts_are_told_in_our_words() -> None:
    actor_error = type("RayActorError", (Exception,), {"__module__": "ray.exceptions"})
    said = {
        "the node of the seat has left.": of_ray("ActorUnschedulableError"),
        "the process of the seat has ended.": of_ray("ActorDiedError", actor_error),
        "the node of the seat does not answer.": of_ray("ActorUnavailableError", actor_error),
        "the seat has not answered in time.": of_ray("GetTimeoutError", TimeoutError),
    }
    assert [reason(error) for error in said.values()] == list(said)
    assert [has_left(error) for error in said.values()] == [True, False, False, False]


def test_what_a_seat_raised_is_told_as_it_is() -> None:
    task_error: Any = of_ray("RayTaskError", text="ray::Seat.open() …")
    task_error.cause = RuntimeError("The replica did not start in time.")
    assert reason(task_error) == "The replica did not start in time."
    assert reason(ValueError("one\n   two")) == "one two"
    named_so = type("RayActorError", (Exception,), {"__module__": "theirs"})
    assert reason(named_so("their own")) == "their own"


@pytest.mark.parametrize(
    ("error", "why"), [(QueueFull("gone"), ""), (ProviderError("no fork"), "no fork")]
)
def test_a_seat_that_is_gone_is_not_held_against_the_function(error: FaasError, why: str) -> None:
    house: Any = SimpleNamespace(python="", seat_mib=0)
    seats = RaySeats(house, Path("nowhere"))
    function = MapFunction(revision_id="r")
    for _ in range(MOST_FAILURES):
        seat = Seated(1)
        seat.revision = "r"
        seats.failed(seat, error)
    assert seats.why_unfit(function) == why
