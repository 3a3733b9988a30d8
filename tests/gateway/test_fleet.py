"""Replicas from wish to end: what goes wrong, who is told, and who is spared."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from jupyter_faas.core.errors import InternalError, ProviderError
from jupyter_faas.core.model import (
    PROTOCOL_VERSION,
    ReplicaState,
    RevisionState,
    Scaling,
)
from jupyter_faas.core.specialisation import Hello
from jupyter_faas.gateway.auth import call_token
from jupyter_faas.providers.base import ReplicaComing, ReplicaGone, ReplicaPending
from jupyter_faas.wire.frames import Frame, FrameKind
from tests.gateway.conftest import TOKEN, problem, until
from tests.gateway.fake_front import FakeFront

ONE = Scaling(max_containers=1)


async def test_a_replica_is_told_everything_it_needs(bench):
    front = await bench.ready(max_inputs=3, timeout_s=7.0, env={"COLOUR": "red"}, idempotent=False)
    told = front.told
    entry = bench.entry()
    assert (told.function, told.namespace, told.revision) == ("f", "default", 1)
    assert (told.revision_id, told.replica) == (entry.revision.id, front.replica_id)
    assert (told.max_inputs, told.timeout_s, told.idempotent) == (3, 7.0, False)
    assert told.package_path.endswith(f"/blobs/00/{entry.revision.spec.code.digest}")
    assert told.env == {
        "COLOUR": "red",
        "FAAS_REPLICA": front.replica_id,
        "FAAS_GATEWAY_URL": bench.service.url,
        "FAAS_GATEWAY_TOKEN": call_token(TOKEN),
    }
    assert len(told.secret) == 32


async def test_what_a_replica_needs_is_ready_before_it_is_there_and_nothing_is_sent(bench):
    bench.provider.is_held = True
    bench.provider.secret_values = {"s": {"TOKEN": "early"}}
    await bench.deploy(secrets=("s",))
    (front,) = await until(lambda: list(bench.provider.fronts.values()))
    await front.listen()
    address = f"unix:{front.socket}"
    bench.provider._events.put_nowait(ReplicaComing(replica=front.replica_id, address=address))
    await until(lambda: len(front._connections) == 2, "two connections")
    bench.provider.secret_values["s"]["TOKEN"] = "late"
    assert front.heads == []
    bench.provider.say_started(front)
    assert (await bench.call()).status == 200
    assert front.told.env["TOKEN"] == "early"
    assert len(front._connections) == 2, "one for the watch, one for all else"


async def test_a_replica_that_turns_out_to_be_elsewhere_is_told_there_and_only_there(
    bench, tmp_path
):
    bench.provider.is_held = True
    await bench.deploy()
    (front,) = await until(lambda: list(bench.provider.fronts.values()))
    other = FakeFront("other", tmp_path / "other.sock")
    await other.listen()
    address = f"unix:{other.socket}"
    bench.provider._events.put_nowait(ReplicaComing(replica=front.replica_id, address=address))
    await until(lambda: len(other._connections) == 2, "two connections")
    await bench.provider.release()
    assert (await bench.call()).status == 200
    assert (front.told.replica, other.heads) == (front.replica_id, [])
    await until(lambda: not other._connections, "the other is left alone")
    other.die()


async def test_what_cannot_be_made_ready_fails_the_start_once_it_is_there(bench):
    bench.provider.is_held = True
    entry = await bench.deploy(secrets=("none-such",))
    (front,) = await until(lambda: list(bench.provider.fronts.values()))
    bench.provider._events.put_nowait(ReplicaComing(replica=front.replica_id, address="unix:/no"))
    await bench.provider.release()
    await until(lambda: entry.revision.state is RevisionState.FAILED)
    assert "none-such" in entry.revision.reason


async def test_every_replica_has_a_secret_of_its_own(bench):
    await bench.ready(scaling=Scaling(min_containers=2))
    await until(lambda: len(bench.fronts(bench.entry())) == 2)
    assert len({front.told.secret for front in bench.provider.fronts.values()}) == 2


async def test_a_first_replica_makes_the_revision_live(bench):
    entry = await bench.deploy()
    assert entry.is_pending
    await until(lambda: entry.is_live)
    assert entry.revision.state is RevisionState.READY


async def test_a_provider_that_cannot_start_fails_the_revision_after_some_tries(bench):
    bench.provider.start_error = ProviderError("No room on this machine.")
    entry = await bench.deploy()
    await until(lambda: entry.revision.state is RevisionState.FAILED)
    assert "No room" in entry.revision.reason
    answer = await bench.call()
    assert (answer.status, problem(answer)["code"]) == (502, "provider_error")


@pytest.mark.parametrize("distance", [-1, 1])
async def test_a_runner_of_the_neighbouring_version_works(bench, distance):
    def neighbour(front):
        front.protocol = PROTOCOL_VERSION + distance

    bench.provider.prepare = neighbour
    await bench.deploy()
    assert (await bench.call()).status == 200


async def test_a_runner_too_far_away_is_said_to_be(bench):
    def alien(front):
        front.protocol = PROTOCOL_VERSION + 2

    bench.provider.prepare = alien
    await bench.deploy()
    answer = await bench.call()
    assert (answer.status, problem(answer)["code"]) == (409, "environment_mismatch")
    assert f"protocol {PROTOCOL_VERSION + 2}" in problem(answer)["detail"]


async def test_a_hiccup_of_the_platform_does_not_fail_the_revision(bench):
    def once(front):
        front.load_error = InternalError("hiccup") if bench.provider.started == 1 else None

    bench.provider.prepare = once
    await bench.deploy()
    assert (await bench.call()).status == 200
    assert bench.provider.started == 2


async def test_a_replica_that_ends_while_it_loads_fails_the_revision_with_the_reason(bench):
    def dies(front):
        front.loads = asyncio.Event()
        asyncio.get_running_loop().call_later(
            0.02, bench.provider.kill, front, "out_of_memory", "900 MiB of 512"
        )

    bench.provider.prepare = dies
    await bench.deploy()
    answer = await bench.call()
    told = problem(answer)
    assert (answer.status, told["code"], told["reason"]) == (502, "replica_lost", "out_of_memory")


async def test_the_reason_why_a_replica_is_not_there_yet_is_shown_and_told(bench):
    bench.provider.is_held = True
    entry = await bench.deploy()
    (replica,) = await until(lambda: bench.service.fleet.replicas(entry))
    bench.provider._events.put_nowait(ReplicaPending(replica=replica.id, reason="no GPU is free"))
    await until(lambda: replica.status().reason == "no GPU is free")
    asked = bench.calling()
    await until(lambda: bench.ledger()["queued"] == 1)
    bench.service.fleet._late(replica)  # as its alarm does
    answer = await asked
    assert problem(answer)["code"] == "cold_start_timeout"
    assert "no GPU is free" in problem(answer)["detail"]


async def test_once_a_replica_is_there_what_it_waited_for_is_no_reason_any_more(bench):
    def never_loads(front):
        front.loads = asyncio.Event()

    bench.provider.is_held = True
    bench.provider.prepare = never_loads
    entry = await bench.deploy()
    (replica,) = await until(lambda: bench.service.fleet.replicas(entry))
    bench.provider._events.put_nowait(ReplicaPending(replica=replica.id, reason="no GPU is free"))
    await until(lambda: replica.status().reason == "no GPU is free")
    await bench.provider.release()
    await until(lambda: not replica.status().reason, "it waits for its own code now")


async def test_a_busy_replica_drains_before_it_is_ended(bench):
    front = await bench.ready()
    front.on_call = lambda call: None
    task = bench.calling()
    await bench.calls(1)
    replica = bench.service.fleet.find(front.replica_id)
    bench.service.fleet.stop(replica)
    assert replica.status().state is ReplicaState.DRAINING
    assert front.replica_id not in bench.provider.stopped
    other = await bench.call()
    assert other.status == 200
    assert len(front.calls) == 1, "a draining replica takes nothing new"
    front.calls[0].answer(b"done")
    assert (await task).body == b"done"
    await until(lambda: front.replica_id in bench.provider.stopped)


async def test_an_idle_replica_is_ended_at_once(bench):
    front = await bench.ready()
    bench.service.fleet.stop(bench.service.fleet.find(front.replica_id))
    await until(lambda: bench.service.fleet.find(front.replica_id) is None)


async def test_a_front_that_drains_by_itself_takes_nothing_new(bench):
    front = await bench.ready()
    hello = Hello(version="0", python="3.11", state="draining")
    front.say(Frame(FrameKind.STATE, msgspec.msgpack.encode(hello)))
    await until(lambda: front.replica_id in bench.provider.stopped)
    assert (await bench.call()).status == 200


async def test_a_cut_link_takes_the_replica_out_before_the_provider_has_spoken(bench):
    front = await bench.ready(scaling=ONE)
    front.die()
    await until(lambda: not bench.entry().pool.replicas)
    assert (await bench.call()).status == 200
    await until(lambda: front.replica_id in bench.provider.stopped)


async def test_a_front_that_hangs_is_replaced_and_its_caller_told(bench):
    bench.service.pulse.after_s, bench.service.pulse.patience_s = 0.0, 0.05
    front = await bench.ready(scaling=ONE)
    front.on_call, front.is_hung = lambda call: None, True
    answer = await bench.call()
    assert (answer.status, problem(answer)["code"]) == (502, "replica_lost")
    assert "has not answered" in problem(answer)["detail"]
    bench.service.pulse.patience_s = 20.0  # the next one lives
    assert (await bench.call()).status == 200
    assert front.replica_id in bench.provider.stopped


async def test_a_front_that_lives_may_take_its_time(bench):
    bench.service.pulse.after_s, bench.service.pulse.patience_s = 0.0, 20.0
    front = await bench.ready()
    front.on_call = lambda call: None
    task = bench.calling()
    await until(lambda: front.pulses > 1, "asked twice")
    front.calls[0].answer(b"done")
    assert (await task).body == b"done"


async def test_nonsense_on_the_link_ends_the_replica_not_the_gateway(bench):
    front = await bench.ready(scaling=ONE)
    front.say(Frame(FrameKind.ENDED, b"\xc1nonsense"))
    await until(lambda: front.replica_id in bench.provider.stopped)
    assert (await bench.call()).status == 200


async def test_news_of_unknown_replicas_is_ignored(bench):
    bench.provider._events.put_nowait(ReplicaGone(replica="stranger", reason="crashed"))
    await bench.ready()
    assert (await bench.call()).status == 200


async def test_a_failing_second_revision_leaves_the_first_serving(bench):
    await bench.ready()
    bench.provider.prepare = lambda front: setattr(front, "load_error", InternalError("no"))
    bench.provider.start_error = ProviderError("no")
    second = await bench.deploy()
    await until(lambda: second.revision.state is RevisionState.FAILED)
    assert (await bench.call()).header(b"faas-revision") == b"1"


async def test_deleting_a_function_ends_its_replicas_and_forgets_it(bench):
    front = await bench.ready()
    await bench.call()
    await bench.service.registry.delete("default", "f")
    await until(lambda: front.replica_id in bench.provider.stopped)
    await until(lambda: not list(bench.service.activator.pools()))
    assert bench.ledger()["accepted"] == 1, "the ledger of the gateway goes on"


async def test_a_replica_goes_when_it_is_not_used(bench):
    front = await bench.ready()
    await bench.call()
    await bench.service.registry.set_scaling("default", "f", {"scaledown_window_s": 0.1})
    await until(lambda: front.replica_id in bench.provider.stopped)
    answer = await bench.call()
    assert (answer.status, answer.header(b"faas-cold-start")) == (200, b"1")


async def test_traffic_has_moved_before_new_code_answers(bench):
    await bench.ready()
    for number in range(2, 6):
        await bench.deploy()
        pinned = await bench.call(headers={"Faas-Revision": str(number)})
        assert pinned.status == 200
        assert (await bench.call()).header(b"faas-revision") == b"%d" % number
