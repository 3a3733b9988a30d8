"""A gateway takes over the replicas that another one, or itself before a restart, has started."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jupyter_faas.core.model import PROTOCOL_VERSION, RevisionState, Scaling
from jupyter_faas.core.specialisation import Hello
from jupyter_faas.gateway import adoption
from jupyter_faas.gateway.adoption import Fate, fate_of, seal_of
from jupyter_faas.providers.base import ReplicaFound, Seal
from tests.gateway.cluster import KEYS, ClusterBench, cluster_bench
from tests.gateway.conftest import until
from tests.gateway.fake_front import FakeFront, FakeProvider


def hello(state: str, revision_id: str = "", replica: str = "", **more) -> Hello:
    return Hello(version="0", python="3.11", state=state, revision_id=revision_id,
                 replica=replica, **more)  # fmt: skip


@pytest.mark.parametrize(
    ("said", "fate"),
    [
        (hello("generic"), Fate.SPECIALISE),
        (hello("loading", "rev", "r1"), Fate.SPECIALISE),
        (hello("ready", "rev", "r1"), Fate.SERVE),
        (hello("draining", "rev", "r1"), Fate.STOP),
        (hello("failed", "rev", "r1"), Fate.STOP),
        (hello("ready"), Fate.STOP),
        (hello("loading"), Fate.STOP),
        (hello("ready", "other", "r1"), Fate.STOP),
        (hello("ready", "rev", "r2"), Fate.STOP),
        (hello("ready", "rev", "r1", protocol=PROTOCOL_VERSION + 2), Fate.STOP),
        (hello("generic", protocol=PROTOCOL_VERSION + 2), Fate.STOP),
        (hello("something new", "rev", "r1"), Fate.STOP),
    ],
)
def test_what_becomes_of_a_replica_follows_from_what_it_says(said, fate):
    assert fate_of(said, "r1", "rev")[0] is fate


def test_a_runner_that_was_started_anew_is_sealed_to_as_it_is_now():
    def encoded(text: bytes) -> str:
        return base64.b64encode(text).decode()

    claimed = Seal(public_key=b"old", nonce=b"old", pod_uid="pod")
    said = hello("generic", nonce=encoded(b"new nonce"), public_key=encoded(b"new key"))
    assert seal_of(said, claimed) == Seal(public_key=b"new key", nonce=b"new nonce", pod_uid="pod")
    assert seal_of(hello("loading"), claimed) == claimed
    assert seal_of(hello("generic"), None) is None


# -- two gateways, one after the other, over the same fronts


class SharedProvider(FakeProvider):
    """Replicas that outlive a gateway."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.claimed: list[ReplicaFound] = []
        self.first: ClusterBench
        """The gateway that was there before."""

    async def known(self, namespace: str, function: str) -> list[ReplicaFound]:
        mine = (namespace, function)
        return [one for one in self.claimed if (one.namespace, one.function) == mine]

    async def close(self) -> None:
        self._events.put_nowait(None)

    def tell(self, found: ReplicaFound) -> None:
        self._events.put_nowait(found)

    def found(self, front: FakeFront, revision_id: str) -> ReplicaFound:
        return ReplicaFound(
            replica=front.replica_id,
            namespace="default",
            function="f",
            revision_id=revision_id,
            address=f"unix:{front.socket}",
            node="n1",
        )


@asynccontextmanager
async def before(tmp_path: Path, **arguments) -> AsyncIterator[tuple[FakeFront, SharedProvider]]:
    """Give a replica that a first gateway has made, and the provider for a second one."""
    old = SharedProvider(tmp_path)
    async with cluster_bench(old, tmp_path / "faas.db") as bench:
        front = await bench.ready(**arguments)
        provider = SharedProvider(tmp_path)
        provider.first = bench
        provider.fronts = dict(old.fronts)
        provider.claimed = [provider.found(front, bench.entry().revision.id)]
        yield front, provider
    for one in (front, *old.fronts.values(), *provider.fronts.values()):
        one.die()


@asynccontextmanager
async def after(provider: SharedProvider, tmp_path: Path) -> AsyncIterator[ClusterBench]:
    """Run the second gateway while the first one may still run."""
    async with cluster_bench(provider, tmp_path / "faas.db") as bench:
        yield bench


async def test_a_replica_that_serves_goes_on_serving(tmp_path):
    async with before(tmp_path) as (front, provider), after(provider, tmp_path) as bench:
        replica = bench.service.fleet.find(front.replica_id)
        assert replica is not None, "known from the start"
        await until(lambda: bench.fronts(bench.entry()), "adopted")
        assert (await bench.call(token="alices", body=b"[7]")).body == b"[7]"
        assert [call.front for call in bench.all_calls()] == [front]
        assert (provider.started, provider.stopped) == (0, [])
        assert replica.status().node == "n1"
        front.log("", b"hello\n")
        await until(lambda: list(bench.service.logs.read("default", "f")), "its output is heard")


async def test_calls_of_the_owner_before_go_on_and_are_not_disturbed(tmp_path):
    async with before(tmp_path, scaling=Scaling(max_containers=1)) as (front, provider):
        front.on_call = lambda call: None
        running = provider.first.calling(token="alices", body=b"[1]")
        (call,) = await provider.first.calls(1)
        async with after(provider, tmp_path) as second:
            await until(lambda: second.fronts(second.entry()), "adopted")
            front.refusals = 2  # its one place is taken: it says so from the head alone
            front.on_call = lambda call: call.answer(b"second")
            answer = await second.call(token="alices")
            assert answer.body == b"second"
            call.answer(b"first")
            assert (await running).body == b"first"
            assert provider.stopped == []


async def test_a_replica_that_was_claimed_and_no_more_is_specialised(tmp_path):
    async with before(tmp_path) as (front, provider):
        front.told = None
        async with after(provider, tmp_path) as bench:
            assert (await bench.call(token="alices")).status == 200
            assert front.told.secret == KEYS.replica_secret(front.replica_id)
            assert (provider.started, provider.stopped) == (0, [])


async def test_a_replica_that_does_not_answer_is_ended_and_another_started(tmp_path, monkeypatch):
    monkeypatch.setattr(adoption, "PATIENCE_S", 0.05)
    async with before(tmp_path) as (front, provider):
        front.is_hung = True
        async with after(provider, tmp_path) as bench:
            calling = bench.calling(token="alices")
            await until(lambda: provider.stopped == [front.replica_id])
            assert (await calling).status == 200
            assert provider.started == 1
            assert bench.entry().revision.state is RevisionState.READY, "not the revision's fault"


@pytest.mark.parametrize("damage", ["another secret", "another revision", "gone"])
async def test_a_replica_that_is_not_what_it_should_be_is_ended(tmp_path, damage):
    async with before(tmp_path) as (front, provider):
        if damage == "another secret":
            front.told = _changed(front.told, secret="x" * 64)
        elif damage == "another revision":
            front.told = _changed(front.told, revision_id="other")
        else:
            front.die()
        async with after(provider, tmp_path) as bench:
            await until(lambda: provider.stopped == [front.replica_id])
            # It may run calls for whoever had it before.
            assert provider.graces_s[front.replica_id] >= 30
            assert (await bench.call(token="alices")).status == 200
            assert provider.started == 1


async def test_an_adopted_replica_that_is_wanted_no_more_ends_the_calls_of_others_first(tmp_path):
    async with before(tmp_path) as (front, provider), after(provider, tmp_path) as bench:
        await until(lambda: bench.fronts(bench.entry()), "adopted")
        replica = bench.service.fleet.find(front.replica_id)
        bench.service.fleet.stop(replica)
        await until(lambda: provider.stopped == [front.replica_id])
        assert provider.graces_s[front.replica_id] >= 30


async def test_a_replica_of_a_revision_that_is_not_there_is_ended(tmp_path):
    async with before(tmp_path) as (front, provider):
        provider.claimed = [provider.found(front, "dropped long ago")]
        async with after(provider, tmp_path):
            await until(lambda: provider.stopped == [front.replica_id])


async def test_a_replica_is_adopted_when_it_is_found_later_and_only_by_its_owner(tmp_path):
    async with before(tmp_path) as (_, provider):
        (found,) = provider.claimed
        provider.claimed = []
        async with after(provider, tmp_path) as bench:
            bench.service.fleet.owns = lambda function: False
            provider.tell(found)
            await asyncio.sleep(0)
            await until(provider._events.empty)
            assert not bench.service.fleet.all()
            bench.service.fleet.owns = lambda function: True
            provider.tell(found)
            provider.tell(found)
            await until(lambda: bench.fronts(bench.entry()), "adopted")
            assert len(bench.service.fleet.all()) == 1
            assert provider.stopped == []


async def test_a_gateway_knows_the_secrets_of_replicas_it_has_not_started(tmp_path):
    async with before(tmp_path) as (front, _):
        assert front.told.secret == KEYS.replica_secret(front.replica_id)


async def test_a_provider_that_cannot_look_does_not_stop_the_gateway(tmp_path, monkeypatch):
    from jupyter_faas.core.errors import ProviderError

    async with before(tmp_path) as (_, provider):

        async def broken(namespace: str, function: str) -> list[ReplicaFound]:
            raise ProviderError("away")

        monkeypatch.setattr(provider, "known", broken)
        async with after(provider, tmp_path) as bench:
            assert (await bench.call(token="alices")).status == 200


def _changed(told, **fields):
    import msgspec

    return msgspec.structs.replace(told, **fields)
