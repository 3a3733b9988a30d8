"""A replica that cannot get what its function asks for is succeeded by one made to measure."""

from __future__ import annotations

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.core.model import ReplicaState, Scaling
from jupyter_faas.providers.base import ReplicaGone, ReplicaMisfit
from tests.gateway.conftest import until

ONE = Scaling(min_containers=1, max_containers=1)
NO_ROOM = "it has the size of the warm pool until its node has room: not enough cpu"


async def misfit(bench):
    """Return a replica that serves and was told to be too small, once its successor starts."""
    front = await bench.ready(scaling=ONE)
    replica = bench.service.fleet.find(front.replica_id)
    bench.provider.is_held = True
    bench.provider._events.put_nowait(ReplicaMisfit(replica=replica.id, reason=NO_ROOM))
    await until(lambda: bench.provider.made_to_measure, "a successor")
    return replica


async def test_it_serves_until_its_successor_does(bench):
    replica = await misfit(bench)
    (successor,) = bench.provider.made_to_measure
    bench.service.autoscaler.tick()
    assert replica.state is ReplicaState.READY, "the two count as one"
    assert (await bench.call()).status == 200
    await bench.provider.release()
    await until(lambda: bench.provider.stopped == [replica.id], "the old one goes")
    assert (await bench.call()).status == 200
    assert [one.replica_id for one in bench.fronts(bench.entry())] == [successor]


async def test_it_stays_and_says_why_if_there_is_no_successor_either(bench):
    replica = await misfit(bench)
    (successor,) = bench.provider.made_to_measure
    gone = ReplicaGone(
        replica=successor, reason="start_failed", detail="No node has 2 CPUs free.", is_final=True
    )
    bench.provider._events.put_nowait(gone)
    await until(lambda: "No node" in replica.reason or "no node" in replica.reason)
    assert (
        replica.status().reason
        == f"{NO_ROOM}; no pod of its own took over: no node has 2 CPUs free"
    )
    bench.service.autoscaler.tick()
    assert (await bench.call()).status == 200
    assert (bench.entry().is_live, bench.provider.stopped) == (True, [])


async def test_a_provider_that_refuses_the_successor_does_no_harm(bench):
    front = await bench.ready(scaling=ONE)
    replica = bench.service.fleet.find(front.replica_id)
    bench.provider.start_error = ProviderError("Nobody may.", is_final=True)
    bench.provider._events.put_nowait(ReplicaMisfit(replica=replica.id, reason=NO_ROOM))
    await until(lambda: "nobody may" in replica.reason)
    assert (await bench.call()).status == 200


async def test_it_stays_if_it_gets_its_size_before_its_successor_is_ready(bench):
    replica = await misfit(bench)
    (successor,) = bench.provider.made_to_measure
    bench.provider._events.put_nowait(ReplicaMisfit(replica=replica.id, reason=""))
    await until(lambda: successor in bench.provider.stopped)
    bench.service.autoscaler.tick()
    assert (await bench.call()).status == 200
    assert (replica.state, replica.reason, replica.is_outgrown) == (ReplicaState.READY, "", False)


async def test_both_go_when_nobody_needs_them(bench):
    replica = await misfit(bench)
    (successor,) = bench.provider.made_to_measure
    await bench.service.registry.set_scaling(
        "default", "f", {"min_containers": 0, "scaledown_window_s": 0.05}
    )
    await until(lambda: {replica.id, successor} <= set(bench.provider.stopped))
