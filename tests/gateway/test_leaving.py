"""Replicas that somebody else ends, starts that cannot work, secrets: what the fleet does then."""

from __future__ import annotations

import pytest

from jupyter_faas.core.model import ReplicaState, RevisionState, Scaling
from jupyter_faas.providers.base import ReplicaFound, ReplicaGone, ReplicaLeaving
from tests.gateway.conftest import problem, until


async def test_a_replica_that_somebody_else_ends_drains_and_is_replaced_at_once(bench):
    front = await bench.ready(scaling=Scaling(max_containers=1))
    front.on_call = lambda call: None
    task = bench.calling()
    (call,) = await bench.calls(1)
    bench.provider._events.put_nowait(
        ReplicaLeaving(replica=front.replica_id, reason="its node is drained")
    )
    await until(lambda: len(bench.provider.fronts) == 2, "a replacement")
    assert (await bench.call()).status == 200
    replica = bench.service.fleet.find(front.replica_id)
    assert (replica.state, replica.reason) == (ReplicaState.DRAINING, "its node is drained")
    call.answer(b"done")
    assert (await task).body == b"done", "what was in flight ends as if nothing had happened"


@pytest.mark.parametrize("is_final", [True, False])
async def test_a_start_that_cannot_work_is_tried_once_and_told(bench, is_final):
    bench.provider.is_held = True
    entry = await bench.deploy()
    (replica,) = await until(lambda: bench.service.fleet.replicas(entry))
    bench.provider._events.put_nowait(
        ReplicaGone(
            replica=replica.id,
            reason="start_failed",
            detail="There is no volume claim `data`.",
            code="VolumeClaimMissing",
            is_final=is_final,
        )
    )
    if not is_final:
        await until(lambda: bench.provider.started == 2, "another try")
        return
    await until(lambda: entry.revision.state is RevisionState.FAILED)
    assert bench.provider.started == 1
    told = problem(await bench.call())
    assert (told["code"], told["reason"]) == ("provider_error", "VolumeClaimMissing")


async def test_a_found_replica_of_a_stranger_is_nobodys_business(bench):
    found = ReplicaFound(
        replica="r-x", namespace="default", function="g", revision_id="0", address="unix:/none"
    )
    bench.provider._events.put_nowait(found)
    await bench.ready()
    assert (await bench.call()).status == 200
    assert "r-x" not in bench.provider.stopped


async def test_secrets_are_variables_and_env_counts_more(bench):
    bench.provider.secret_values = {"s": {"TOKEN": "x", "COLOUR": "blue"}}
    front = await bench.ready(secrets=("s",), env={"COLOUR": "red"})
    assert (front.told.env["TOKEN"], front.told.env["COLOUR"]) == ("x", "red")


async def test_a_missing_secret_fails_the_revision_with_its_name(bench):
    entry = await bench.deploy(secrets=("none-such",))
    await until(lambda: entry.revision.state is RevisionState.FAILED)
    assert "none-such" in entry.revision.reason
