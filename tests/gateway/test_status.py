"""What the status of a Function says: one word for machines, one sentence for people."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from jupyter_faas.core.errors import (
    ColdStartTimeout,
    EnvironmentMismatch,
    FaasError,
    InvalidSpec,
    MissingPackages,
    ProviderError,
    RemoteError,
    ReplicaLost,
    to_problem,
)
from jupyter_faas.core.model import Code, Function, Revision, RevisionSpec, RevisionState
from jupyter_faas.gateway.cluster.reconcile import Refuse
from jupyter_faas.gateway.cluster.status import (
    conditions,
    failure_reason,
    is_urgent,
    ready_word,
    serving_word,
)
from jupyter_faas.providers.kubernetes.objects import FunctionStatusObject

SPEC = RevisionSpec(code=Code(digest="d" * 64, size_bytes=1, entry="f", python="3.11"))


def revision(number: int, state: RevisionState, **more: Any) -> Revision:
    return Revision(
        function="f", number=number, id=str(number), spec=SPEC, created_at=0, state=state, **more
    )


READY = revision(1, RevisionState.READY)
PENDING = revision(2, RevisionState.PENDING)
FAILED = revision(
    2,
    RevisionState.FAILED,
    reason="no memory",
    problem={"code": "provider_error", "reason": "QuotaExceeded"},
)
F1 = Function(name="f", latest=1, traffic={1: 100})
F2 = Function(name="f", latest=2, traffic={1: 100})
NEW = Function(name="f", latest=2)


@pytest.mark.parametrize(
    ("function", "revisions", "refused", "waiting", "word"),
    [
        (None, {}, None, "", ("Unknown", "Pending", "It has not been looked at yet.")),
        (F1, {1: READY}, None, "", ("True", "Ready", "Revision 1 serves.")),
        (
            F2,
            {1: READY, 2: PENDING},
            None,
            "",
            ("Unknown", "Pending", "Revision 2 is starting, revision 1 serves meanwhile."),
        ),
        (
            NEW,
            {2: PENDING},
            None,
            "no node has room",
            ("Unknown", "Pending", "Revision 2 is starting: no node has room."),
        ),
        (
            F2,
            {1: READY, 2: FAILED},
            None,
            "",
            ("False", "QuotaExceeded", "Revision 2 failed, revision 1 keeps serving: no memory"),
        ),
        (NEW, {2: FAILED}, None, "", ("False", "QuotaExceeded", "Revision 2 failed: no memory")),
        (
            F1,
            {1: READY},
            Refuse("NoPool", "No pool."),
            "",
            ("False", "NoPool", "No pool. Revision 1 keeps serving."),
        ),
        (
            Function(name="f", latest=1, traffic={1: 100}, shares={7: 90, 0: 10}),
            {1: READY},
            None,
            "",
            (
                "False",
                "RevisionNotFound",
                "Traffic names revision 7, which does not exist; there is 1. Revision 1 serves.",
            ),
        ),
        (
            Function(name="f", latest=1, traffic={1: 100}, shares={2: 90, 0: 10}),
            {1: READY, 2: FAILED},
            None,
            "",
            (
                "False",
                "RevisionNotReady",
                "Traffic names revision 2, which is not ready: no memory. Revision 1 serves.",
            ),
        ),
        (
            Function(name="f", latest=1, traffic={1: 100}, shares={7: 0, 0: 100}),
            {1: READY},
            None,
            "",
            ("True", "Ready", "Revision 1 serves."),
        ),
        (
            None,
            {},
            Refuse("InvalidSource", "No Python."),
            "",
            ("False", "InvalidSource", "No Python."),
        ),
    ],
)
def test_ready_speaks_of_what_the_spec_asks_for(
    function: Function | None,
    revisions: dict[int, Revision],
    refused: Refuse | None,
    waiting: str,
    word: tuple[str, str, str],
) -> None:
    assert ready_word(function, revisions, refused, waiting) == word


def test_serving_says_who_answers() -> None:
    assert serving_word(None).status == serving_word(NEW).status == "False"
    assert serving_word(F1) == ("True", "Serving", "Revision 1 serves.")
    both = Function(name="f", latest=2, traffic={1: 90, 2: 10})
    assert serving_word(both).message == "Revisions 1 (90 %), 2 (10 %) serve."


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ProviderError("x", reason="ImagePullFailed"), "ImagePullFailed"),
        (ProviderError("x", reason="not a word"), "ProviderFailed"),
        (ProviderError("x"), "ProviderFailed"),
        (RemoteError("x", exception="ModuleNotFoundError"), "ImportError"),
        (RemoteError("x", exception="ImportError"), "ImportError"),
        (RemoteError("x", exception="ValueError"), "LoadFailed"),
        (ReplicaLost("x", reason="out_of_memory"), "OutOfMemory"),
        (ReplicaLost("x", reason="crashed"), "Crashed"),
        (ReplicaLost("x"), "ReplicaLost"),
        (EnvironmentMismatch("x"), "NoPool"),
        (MissingPackages("x"), "MissingPackages"),
        (ColdStartTimeout("x"), "ColdStartTimeout"),
        (InvalidSpec("x"), "InvalidSpec"),
    ],
)
def test_each_failure_has_one_word(error: FaasError, reason: str) -> None:
    assert failure_reason(to_problem(error)) == reason


def test_without_a_problem_it_is_just_failed() -> None:
    assert failure_reason(None) == failure_reason({"code": "%"}) == "Failed"


def test_a_condition_keeps_its_time_while_it_stays_what_it_is() -> None:
    first = conditions(F1, {1: READY}, None, "", (), 1, 1000.0)
    assert [one.type for one in first] == ["Ready", "Serving"]
    assert first[0].last_transition_time == "1970-01-01T00:16:40Z"
    later = conditions(F1, {1: READY}, None, "", first, 2, 2000.0)
    assert later[0].last_transition_time == first[0].last_transition_time
    assert later[0].observed_generation == 2
    failed = conditions(F2, {1: READY, 2: FAILED}, None, "", later, 2, 3000.0)
    assert failed[0].last_transition_time == "1970-01-01T00:50:00Z"
    assert failed[1].last_transition_time == first[1].last_transition_time
    long = conditions(F1, {1: READY}, Refuse("X", "y" * 5_000), "", (), 1, 0.0)
    assert len(long[0].message) == 1024


def test_numbers_of_calls_can_wait_and_everything_else_cannot() -> None:
    old = FunctionStatusObject(replicas=1, in_flight=3)
    assert is_urgent(None, old)
    assert not is_urgent(old, msgspec.structs.replace(old, in_flight=9))
    assert is_urgent(old, msgspec.structs.replace(old, replicas=2))
    assert is_urgent(old, msgspec.structs.replace(old, observed_generation=2))
