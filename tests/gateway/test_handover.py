"""Functions change hands while their replicas live on, as they do on a cluster."""

from __future__ import annotations

import asyncio
import random

import pytest

from jupyter_faas.core.model import Scaling
from jupyter_faas.core.ownership import Members
from tests.gateway.conftest import problem, until
from tests.gateway.several import group
from tests.gateway.test_several import answering_after, deployed, load, stays_until


def moving(*ids: str, to: str, of: str) -> str:
    """Return a function's name that moves from one gateway to another when the latter comes."""
    before, after = Members(set(ids) - {to}), Members(ids)
    return next(
        f"m{n}"
        for n in range(5000)
        if before.owner(("default", f"m{n}")) == of and after.owner(("default", f"m{n}")) == to
    )


def made_by(answer) -> str:
    return answer.header(b"faas-invocation-id").decode().partition("-")[0]


async def test_a_gateway_that_comes_adopts_the_replicas_of_its_functions():
    async with group("a", "b", is_shared=True) as gateways:
        a, world = gateways.benches["a"], gateways.world
        name = moving("a", "b", "c", to="c", of="a")
        front = await a.ready(name)
        front.on_call = lambda call: None
        running = a.calling(name, b"5")
        (call,) = await a.calls(1)
        c = await gateways.add("c")
        await gateways.settled()
        await until(lambda: c.service.fleet.find(front.replica_id), "adopted")
        call.answer(b"6")
        assert (await running).body == b"6"
        await until(lambda: not a.service.fleet.all(), "forgotten by its first gateway")
        front.on_call = lambda call: call.answer(call.body)
        for bench in gateways.benches.values():
            answer = await bench.call(name, b"7")
            assert answer.body == b"7"
            assert made_by(answer) == c.service.ids.prefix
        assert (world.started, world.stopped) == (1, [])


async def test_a_killed_gateways_replicas_serve_on_under_the_next_owner():
    async with group("a", "b", is_shared=True) as gateways:
        a, world = gateways.benches["a"], gateways.world
        name = await deployed(gateways, "b")
        assert (await a.call(name)).status == 200
        (id,) = world.fronts
        await gateways.kill("b")
        answer = await a.call(name, b"3")
        assert answer.body == b"3"
        assert made_by(answer) == a.service.ids.prefix
        assert (world.started, world.stopped) == (1, [])
        assert list(world.fronts) == [id]


async def test_a_revision_that_was_starting_gets_ready_under_the_next_owner():
    async with group("a", "b", is_shared=True) as gateways:
        a, b, world = gateways.benches["a"], gateways.benches["b"], gateways.world
        loads = asyncio.Event()
        world.prepare = lambda front: setattr(front, "loads", loads)
        name = gateways.name_of("b")
        await b.deploy(name)
        await until(lambda: world.fronts, "it starts")
        await until(lambda: a.service.registry.find("default", name), "known to a")
        asked = a.calling(name, b"1")
        await until(lambda: b.ledger()["queued"] == 1, "a call waits at b")
        lost = asyncio.ensure_future(gateways.kill("b"))
        assert problem(await asked)["code"] == "gateway_lost"
        again = a.calling(name, b"2")
        await lost
        loads.set()
        assert (await again).body == b"2"
        entry = a.entry(name)
        assert entry.is_live


async def test_a_gateway_leaves_under_load_and_no_replica_is_started_anew():
    async with group("a", "b", is_shared=True, leave_quiet_s=1.0) as gateways:
        a, b, world = gateways.benches["a"], gateways.benches["b"], gateways.world
        world.prepare = answering_after(0.02)
        name = await deployed(gateways, "b", max_inputs=1000)  # one replica can have all at once
        both, routes_are_gone = [a, b], asyncio.Event()
        stays_until(b, routes_are_gone)
        calling = asyncio.ensure_future(load(lambda: both, name, 200, 2.0))
        await asyncio.sleep(0.5)
        leaving = asyncio.ensure_future(gateways.stop("b"))
        await asyncio.sleep(0.25)
        both = [a]
        routes_are_gone.set()
        answers = await calling
        await leaving
        assert [one for one in answers if isinstance(one, BaseException)] == []
        assert {one.status for one in answers} == {200}
        assert a.ledger()["done"] + b.ledger()["done"] == 400
        assert a.ledger()["done"] > 250
        assert (world.started, world.stopped) == (1, [])


async def test_floors_are_kept_by_the_owner_alone():
    async with group("a", "b", is_shared=True) as gateways:
        a, b, world = gateways.benches["a"], gateways.benches["b"], gateways.world
        name = gateways.name_of("b")
        await b.ready(name, scaling=Scaling(min_containers=2, max_containers=3))
        await until(lambda: len(world.found) == 2, "two, and all have heard of them")
        await gateways.kill("b")
        await until(lambda: len(a.fronts(a.entry(name))) == 2, "both are a's")
        await asyncio.sleep(0.1)
        assert (world.started, world.stopped) == (2, [])


async def test_a_replica_that_comes_up_after_its_function_has_moved_is_the_next_owners():
    async with group("a", "b", is_shared=True) as gateways:
        a, b, world = gateways.benches["a"], gateways.benches["b"], gateways.world
        b.provider.is_held = True
        name = gateways.name_of("b")
        await b.deploy(name, scaling=Scaling(max_containers=1))
        await until(lambda: world.started == 1, "asked for")
        await until(lambda: a.service.registry.find("default", name), "known to a")
        a.provider.is_held = True  # what a asks for itself does not come up
        b.service.several.peers.leave()
        b.service.several.door.say_leaving()
        await until(lambda: not b.service.fleet.all(), "let go")
        (id, *_) = world.fronts
        await b.provider.release()
        await until(lambda: a.service.fleet.find(id), "adopted by a")
        await until(lambda: a.fronts(a.entry(name)), "ready")
        assert id not in world.stopped
        await a.provider.release()


NAMES = [f"s{n}" for n in range(6)]
CALLS = 600


async def disturb(gateways, chance, prepare) -> int:
    """Add, kill and end gateways other than `a`; return how many calls they may have taken along.

    That is what had been sent to the killed ones and waited there, and a few more each: those that
    are sent before the end of a connection is read.
    """
    lost = 0
    for n in range(6):
        await asyncio.sleep(chance.uniform(0.1, 0.4))
        others = [id for id in gateways.benches if id != "a"]
        deed = chance.choice(["add", "kill", "leave"]) if others else "add"
        if deed == "add" and len(others) < 3:
            added = await gateways.add(f"g{n}")
            added.provider.prepare = prepare
        elif deed == "kill" and others:
            victim = chance.choice(others)
            sent = gateways.benches["a"].service.several.forwarder.active
            lost += 20 + sum(one.peer.id == victim for one in sent)
            await gateways.kill(victim)
        elif deed == "leave" and others:
            await gateways.stop(chance.choice(others))
    return lost


async def call_all(bench) -> list:
    asked = []
    for n in range(CALLS):
        await asyncio.sleep(0.003)
        asked.append(bench.calling(NAMES[n % len(NAMES)], b"%d" % n))
    return await asyncio.gather(*asked)


def adds_up(ledger) -> bool:
    parts = ("queued", "running", "done", "dead", "cancelled")
    return ledger["accepted"] == sum(ledger[part] for part in parts) and not ledger["queued"]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("is_shared", [True, False])
async def test_whatever_happens_to_gateways_no_call_is_lost_but_in_a_killed_one(seed, is_shared):
    chance = random.Random(seed)
    loop = asyncio.get_running_loop()

    def prepare(front):
        front.limit = 2  # as a front does it: it is the judge when owners differ
        front.on_call = lambda call: loop.call_later(
            chance.uniform(0.0, 0.03), lambda: call.is_gone or call.answer(call.body)
        )

    async with group("a", "b", is_shared=is_shared, leave_quiet_s=0.05) as gateways:
        if gateways.world is not None:
            gateways.world.prepare = prepare
        for bench in gateways.benches.values():
            bench.provider.prepare = prepare
        a = gateways.benches["a"]
        for name in NAMES:
            owner = a.service.several.peers.owner_of(("default", name))
            at = gateways.benches["a" if owner is None else owner.id]
            await at.ready(name, max_inputs=2, scaling=Scaling(max_containers=4))
        calling = asyncio.ensure_future(call_all(a))
        most_lost = await disturb(gateways, chance, prepare)
        answers = await calling
        ok = [(n, one.body) for n, one in enumerate(answers) if one.status == 200]
        lost = [problem(one)["code"] for one in answers if one.status != 200]
        assert lost == ["gateway_lost"] * len(lost)
        assert len(lost) <= most_lost
        assert all(body == b"%d" % n for n, body in ok)
        for bench in gateways.benches.values():
            await until(lambda b=bench: adds_up(b.ledger()), "the ledger adds up")
