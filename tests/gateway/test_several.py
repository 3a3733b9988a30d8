from __future__ import annotations

import asyncio
import hashlib
import time
from types import SimpleNamespace

import msgspec
import pytest

from jupyter_faas.core.model import Scaling
from jupyter_faas.gateway import http, several
from jupyter_faas.wire.upstream import request
from tests.gateway.conftest import problem, until
from tests.gateway.several import PEER_TOKEN, group


async def deployed(group, owner: str, at: str | None = None, **spec):
    """Deploy a function that belongs to a gateway; returns its name, known to all."""
    name = group.name_of(owner)
    await group.benches[at or owner].ready(name, **spec)
    for bench in group.benches.values():
        await until(
            lambda b=bench: (found := b.service.registry.find("default", name)) and found.traffic,
            "known everywhere",
        )
    return name


async def test_a_call_is_answered_by_the_owner_whoever_is_asked():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        for _ in range(4):  # the last ones are repeated heads
            answer = await a.call(name, b"[1]")
            assert answer.status == 200, answer
            assert answer.body == b"[1]"
            id = answer.header(b"faas-invocation-id").decode()
            assert id.startswith(b.service.ids.prefix)
            assert answer.header(b"faas-revision") == b"1"
        assert a.ledger()["accepted"] == 0
        assert b.ledger()["done"] == 4
        assert a.service.several.forwarder.forwarded == 4
        assert a.provider.started == 0
        assert not a.service.several.forwarder.active


async def test_an_owner_that_has_not_heard_of_a_function_asks_whose_it_was():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        registry = b.service.registry
        registry._functions.pop(("default", name))
        assert (await b.call(name, b"[1]")).body == b"[1]"
        shown = await b.call(method="GET", body=b"", path=f"/v1/functions/{name}")
        assert shown.status == 200
        assert a.ledger()["done"] == 1
        # Nobody has heard of this one; and what is deployed is not passed on.
        assert problem(await b.call(gateways.name_of("b", 500)))["code"] == "function_not_found"
        await b.ready(name)
        assert registry.find("default", name)


class TestAnOwnerThatHearsLate:
    """A function was applied: the gateway that is called knows it, its owner not yet."""

    @pytest.mark.parametrize("method", ["POST", "GET"])
    async def test_what_is_asked_of_it_waits_until_it_has_heard(self, method):
        async with group("a", "b") as gateways:
            a, b = gateways.benches["a"], gateways.benches["b"]
            name = await deployed(gateways, "b")
            entry = b.service.registry._functions.pop(("default", name))
            path = f"/function/{name}" if method == "POST" else f"/v1/functions/{name}"
            asking = asyncio.create_task(a.call(method=method, body=b"[1]", path=path))
            arrivals = b.service.registry._arrivals
            await until(lambda: arrivals._waiting, "it waits")
            revisions = [one.revision for one in entry.revisions.values()]
            await b.service.registry.take(entry.function, revisions)
            assert (await asking).status == 200
            assert not arrivals._waiting

    async def test_it_does_not_wait_for_ever(self, monkeypatch):
        monkeypatch.setattr(http, "LATE_S", 0.05)
        async with group("a", "b") as gateways:
            name = await deployed(gateways, "b")
            gateways.benches["b"].service.registry._functions.pop(("default", name))
            answer = await gateways.benches["a"].call(name, b"[1]")
            assert problem(answer)["code"] == "function_not_found"

    async def test_one_that_was_deleted_and_made_anew_is_waited_for(self):
        async with group("a", "b") as gateways:
            a, b = gateways.benches["a"], gateways.benches["b"]
            name = await deployed(gateways, "b")
            gateways.shelf.stores[1].service = None  # b hears of nothing any more
            old = b.service.registry.find("default", name).function
            revisions = list(gateways.shelf.revisions["default", name].values())
            await b.service.registry.forget("default", name)
            new = msgspec.structs.replace(old, created_at=old.created_at + 1)
            await a.service.registry.take(new, revisions)
            asking = asyncio.create_task(a.call(name, b"[1]"))
            await until(lambda: b.service.registry._arrivals._waiting, "it waits")
            await b.service.registry.take(new, revisions)
            assert (await asking).status == 200

    async def test_a_name_that_nobody_knows_is_refused_at_once(self, monkeypatch):
        monkeypatch.setattr(http, "LATE_S", 600.0)
        async with group("a", "b") as gateways:
            for owner in "ab":
                answer = await gateways.benches["a"].call(gateways.name_of(owner, 500))
                assert problem(answer)["code"] == "function_not_found"


async def test_a_deleted_function_is_gone_at_once_whoever_has_not_heard_of_it(monkeypatch):
    monkeypatch.setattr(http, "LATE_S", 600.0)
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        gateways.shelf.stores[0].service = None  # a hears of nothing any more
        await b.service.registry.delete("default", name)
        assert a.service.registry.find("default", name)
        for one in (a, b):
            assert problem(await one.call(name))["code"] == "function_not_found"
        gateways.shelf.stores[0].service = a.service


async def test_who_asks_a_gateway_that_starts_hears_at_once_when_it_is_ready():
    async with group("a", "b") as gateways:
        door, peers = gateways.benches["b"].service.several.door, gateways.peers("a")
        (peer,) = peers.all()
        door._opened.clear()
        peers.suspect(peer)
        peers._tried.clear()  # that it could not be reached counts as tried, too
        assert peers.all() == []
        await until(lambda: peer.id in peers._tried, "it says that it starts")
        link = peer.task
        door.open()
        await until(peers.all, "it is there")
        assert peer.task is link
        assert peer.serves


async def test_the_owners_refusal_comes_through():
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "b")
        a = gateways.benches["a"]
        assert (await a.call(name, token="wrong")).status == 401
        assert (await a.call(name, method="GET")).status == 405
        missing = await a.call(gateways.name_of("b", 500))
        assert problem(missing)["code"] == "function_not_found"


async def test_a_large_body_and_a_large_answer_pass_both_ways():
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "b")
        a = gateways.benches["a"]
        body = bytes(range(256)) * (16 << 12)  # 16 MiB
        answer = await a.call(name, body)
        assert answer.status == 200
        assert answer.body == body


async def test_a_body_too_large_is_refused_from_its_head():
    async with group("a", "b", max_body_bytes=1 << 20) as gateways:
        name = await deployed(gateways, "b")
        answer = await gateways.benches["a"].call(name, bytes(2 << 20))
        assert answer.status == 413


async def test_a_deadline_goes_along_and_is_kept():
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "b")
        a, b = gateways.benches["a"], gateways.benches["b"]
        b.fronts(b.entry(name))[0].on_call = lambda call: None
        asked = a.calling(name, b"1", {"Faas-Deadline-Ms": "60000"})
        (call,) = await b.calls(1)
        assert 40_000 < int(call.headers[b"faas-deadline-ms"]) <= 60_000
        call.answer()
        assert (await asked).status == 200
        late = await a.call(name, b"1", {"Faas-Deadline-Ms": "0"})
        assert late.status == 504


async def test_a_caller_that_leaves_cancels_its_call_at_the_owner():
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "b")
        a, b = gateways.benches["a"], gateways.benches["b"]
        b.fronts(b.entry(name))[0].on_call = lambda call: None
        asked = a.calling(name)
        (call,) = await b.calls(1)
        asked.cancel()
        await until(lambda: call.is_gone, "the front hears it")
        await until(lambda: b.ledger()["cancelled"] == 1, "cancelled")


async def test_control_requests_reach_the_owner_and_lists_are_the_same_everywhere():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        mine, theirs = await deployed(gateways, "a"), await deployed(gateways, "b")

        async def get(bench, path):
            answer = await bench.call(method="GET", body=b"", path=path)
            assert answer.status == 200, answer
            return msgspec.json.decode(answer.body)

        shown = await get(a, f"/v1/functions/{theirs}")
        assert [one["state"] for one in shown["replicas"]] == ["ready"]
        scaled = await a.call(
            method="PATCH", path=f"/v1/functions/{theirs}/scaling", body=b'{"minContainers": 1}'
        )
        assert scaled.status == 200
        assert b.service.registry.get("default", theirs).function.settings.scaling.min_containers
        await until(
            lambda: (
                a.service.registry.get("default", theirs).function.settings.scaling.min_containers
                == 1
            ),
            "the change is seen",
        )

        def alike():
            peer = a.service.several.peers.owner_of(("default", theirs))
            found = a.service.several.elsewhere.of(peer, ("default", theirs))
            if not (found and found.replicas and found.counts.get("accepted")):
                return False
            # A look in the middle of the call has told that it is busy.
            return all(one["state"] == "ready" for one in found.replicas.values())

        await a.call(theirs)
        await until(alike, "b's replicas and counts at a")
        listed = (await get(a, "/v1/functions"))["functions"]
        state = await get(a, "/v1/state")
        assert {one["name"] for one in listed} == {mine, theirs}
        there = next(one for one in listed if one["name"] == theirs)
        assert there["replicaCounts"] == {"ready": 1}
        assert there["scaled"]["after"] == 1
        assert len(state["replicas"]) == 2
        deleted = await a.call(method="DELETE", body=b"", path=f"/v1/functions/{theirs}")
        assert deleted.status == 200
        await until(lambda: a.service.registry.find("default", theirs) is None, "gone at a too")


async def test_an_invocation_is_asked_for_where_it_was_made():
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "b")
        a, b = gateways.benches["a"], gateways.benches["b"]
        b.fronts(b.entry(name))[0].on_call = lambda call: None
        asked = a.calling(name)
        (call,) = await b.calls(1)
        told = await a.call(method="GET", body=b"", path=f"/v1/invocations/{call.id}")
        assert msgspec.json.decode(told.body)["state"] == "running"
        gone = await a.call(method="DELETE", body=b"", path=f"/v1/invocations/{call.id}")
        assert gone.status == 202
        assert (await asked).status == 499


async def test_every_stream_tells_of_everything():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        seq = a.service.events.seq
        name = await deployed(gateways, "b")

        def told(bench, since=0):
            return [
                (one.kind, one.shown.get("state") if isinstance(one.shown, dict) else None)
                for one in bench.service.events.since(since)
                if one.function == name
            ]

        await until(lambda: ("replica", "ready") in told(a), "the replica at a")
        await until(lambda: any(kind == "scaling" for kind, _ in told(a)), "scaling at a")
        await until(lambda: ("function", "ready") in told(a, seq), "the function at a")
        function = next(one for one in a.service.events.since(0) if one.kind == "function")
        assert str(a.service.listeners.port) in function.shown["url"]
        # No echo: what a has heard of b is not told to b again.
        await asyncio.sleep(0.1)
        assert all(one.origin == "" for one in b.service.events.since(0) if one.function == name)


async def test_single_calls_are_told_where_somebody_asks_for_them():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        assert not b.service.events.wants_calls
        leave = a.service.events.add_reader(with_calls=True)
        await until(lambda: b.service.events.wants_calls, "b tells of calls")
        await a.call(name)
        await until(lambda: a.service.events.calls_since(0), "the call at a")
        leave()
        await until(lambda: not b.service.events.wants_calls, "no more")


async def test_a_new_gateway_takes_its_share_and_waiting_calls_go_there():
    async with group("a", "b") as gateways:
        name = gateways.name_of("c") if False else None
        a = gateways.benches["a"]
        members = ("a", "b", "c")
        from jupyter_faas.core.ownership import Members

        name = next(
            f"g{n}"
            for n in range(1000)
            if Members(members).owner(("default", f"g{n}")) == "c"
            and Members(members[:2]).owner(("default", f"g{n}")) == "a"
        )
        front = await a.ready(name)
        front.on_call = lambda call: None
        running = [a.calling(name), gateways.benches["b"].calling(name)]
        a.provider.is_held = True
        (first,) = await a.calls(1)
        await until(lambda: a.ledger()["queued"] == 1, "one runs, one waits")
        c = await gateways.add("c")
        await until(lambda: a.ledger()["queued"] == 0, "the waiting one has gone")
        done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        answer = done.pop().result()
        assert answer.status == 200
        assert answer.header(b"faas-invocation-id").startswith(c.service.ids.prefix.encode())
        first.answer(b"7")
        assert sorted(one.body for one in await asyncio.gather(*running)) == [b"1", b"7"]
        await until(lambda: not a.service.fleet.replicas(a.entry(name)), "a has let go")
        assert c.provider.started == 1


async def test_a_gateway_that_is_killed_loses_its_own_calls_alone():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        b.fronts(b.entry(name))[0].on_call = lambda call: None
        lost = a.calling(name)
        await b.calls(1)
        killing = asyncio.ensure_future(gateways.kill("b"))
        answer = await lost
        assert problem(answer)["code"] == "gateway_lost"
        assert answer.status == 502
        again = await a.call(name)
        assert again.status == 200
        assert a.service.several.peers.owners is None
        await killing


async def test_an_idempotent_call_is_made_again_where_the_function_is_now():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b", idempotent=True)
        b.fronts(b.entry(name))[0].on_call = lambda call: None
        asked = a.calling(name)
        await b.calls(1)
        await gateways.kill("b")
        answer = await asked
        assert answer.status == 200
        assert a.ledger()["done"] == 1


async def test_a_peer_that_refuses_is_gone_at_once_and_back_when_it_answers():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        peer = a.service.several.peers.owner_of(("default", name))
        for server in b.service.listeners.servers:  # it listens no more; its link is open still
            server.close()
        peer.upstream.close()
        assert (await a.call(name)).status == 200
        assert a.provider.started == 1  # served by a, which has it now
        loop = asyncio.get_running_loop()
        b.service.listeners.servers = [
            await loop.create_server(
                b.service.listeners._everything, "127.0.0.1", b.service.listeners.port
            )
        ]
        await gateways.settled("a", "b")
        answer = await a.call(name)
        assert answer.header(b"faas-invocation-id").startswith(b.service.ids.prefix.encode())


async def test_what_has_been_passed_on_once_ends_where_it_arrives():
    async with group("a", "b") as gateways:
        a = gateways.benches["a"]
        name = await deployed(gateways, "b")
        passed_on = {"Faas-Forwarded": "1", "Faas-Peer-Token": PEER_TOKEN}
        answer = await a.call(name, b"1", passed_on)
        assert answer.status == 200
        assert answer.header(b"faas-invocation-id").startswith(a.service.ids.prefix.encode())
        # And what was started for it is not kept.
        await until(lambda: not a.service.fleet.all(), "let go")


@pytest.mark.parametrize("proof", [{}, {"Faas-Peer-Token": "guessed"}])
async def test_who_is_no_gateway_can_not_say_what_gateways_say(proof, monkeypatch):
    monkeypatch.setattr(http, "LATE_S", 600.0)
    said = {"Faas-Forwarded": "1", "Faas-Known": repr(time.time()), **proof}
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        for _ in range(3):  # also when the connection knows the head
            answer = await a.call(name, b"1", said)
            prefix = b.service.ids.prefix.encode()
            assert answer.header(b"faas-invocation-id").startswith(prefix), "it is b's all the same"
        # Nobody waits for what a stranger says there is.
        assert (await a.call(gateways.name_of("a"), b"1", said)).status == 404


async def test_others_than_gateways_hear_nothing():
    async with group("a", "b") as gateways:
        a = gateways.benches["a"]
        answer = await a.call(method="GET", body=b"", path="/v1/peers/link")
        assert answer.status == 401
        told = [(b"Authorization", b"Bearer what gateways show one another")]
        answer = await request(a.upstream, "GET", "/v1/peers/other", told, timeout_s=20)
        assert answer.status == 404


async def test_a_package_uploaded_to_one_gateway_can_be_deployed_through_another():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        package = bytes(range(256)) * 20_000  # 5 MB
        digest = hashlib.sha256(package).hexdigest()
        put = await a.call(method="PUT", path=f"/v1/blobs/{digest}", body=package)
        assert put.status == 201
        name = gateways.name_of("b")
        wish = {
            "id": digest,
            "revision": {
                "code": {"digest": digest, "sizeBytes": 1, "entry": "f", "python": "3.11"}
            },
        }
        body = msgspec.json.encode(wish)
        deployed = await a.call(method="PUT", path=f"/v1/functions/{name}", body=body)
        assert deployed.status == 201, deployed
        assert b.service.blobs.size_bytes(digest) == len(package)
        wish["revision"]["code"]["digest"] = "0" * 64
        body = msgspec.json.encode(wish)
        missing = await a.call(method="PUT", path=f"/v1/functions/{name}", body=body)
        assert problem(missing)["missing_blob"] == "0" * 64


class Coming:
    """As a forwarder's count is while requests come: so many times it is another one."""

    def __init__(self, times):
        self.looks, self.times = 0, times

    @property
    def forwarded(self):
        self.looks += 1
        return min(self.looks, 2 * self.times)


@pytest.mark.parametrize(("times", "quiets"), [(0, 1), (3, 4), (1000, several._MOST_QUIETS)])
async def test_who_leaves_is_there_as_long_as_something_comes_and_not_for_ever(times, quiets):
    coming = Coming(times)
    await several.Several._quiet(SimpleNamespace(forwarder=coming), 0.0)
    assert coming.looks == 2 * quiets


def stays_until(bench, routes_are_gone):
    """Have a gateway that leaves see no quiet time before nobody sends it anything any more.

    A machine that stands still is quiet, too: its routes are late by more than they should be.
    """
    quiet = bench.service.several._quiet

    async def quiet_then(quiet_s):
        await quiet(quiet_s)
        while not routes_are_gone.is_set():
            await routes_are_gone.wait()
            await quiet(quiet_s)

    bench.service.several._quiet = quiet_then


async def load(benches, name, per_s, duration_s):
    """Call at a rate, alternating over the gateways; returns all answers and errors."""
    loop = asyncio.get_running_loop()
    begin, calls = loop.time(), []
    for n in range(int(per_s * duration_s)):
        await asyncio.sleep(max(0.0, begin + n / per_s - loop.time()))
        bench = benches()[n % len(benches())]
        calls.append(bench.calling(name, b"%d" % n))
    return await asyncio.gather(*calls, return_exceptions=True)


def answering_after(delay_s):
    loop = asyncio.get_running_loop()
    return lambda front: setattr(
        front, "on_call", lambda call: loop.call_later(delay_s, lambda: call.answer(call.body))
    )


@pytest.mark.parametrize("routes_late_s", [0.25, 0.9])
async def test_a_gateway_leaves_under_load_without_a_failed_call(routes_late_s):
    async with group("a", "b", leave_quiet_s=1.0) as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        for bench in (a, b):
            bench.provider.prepare = answering_after(0.02)
        name = await deployed(gateways, "b", max_inputs=100)
        both, routes_are_gone = [a, b], asyncio.Event()
        stays_until(b, routes_are_gone)
        calling = asyncio.ensure_future(load(lambda: both, name, 200, 2.0))
        await asyncio.sleep(0.5)
        leaving = asyncio.ensure_future(b.service.stop())
        await asyncio.sleep(routes_late_s)
        both = [a]  # endpoints are withdrawn; kept-alive connections were told to go
        routes_are_gone.set()
        answers = await calling
        await leaving
        del gateways.benches["b"]
        b.upstream.close()
        assert len(answers) == 400
        assert [one for one in answers if isinstance(one, BaseException)] == []
        assert {one.status for one in answers} == {200}
        assert [one.body for one in answers] == [b"%d" % n for n in range(400)]
        assert a.ledger()["done"] + b.ledger()["done"] == 400


async def test_a_gateway_killed_under_load_fails_only_what_it_had():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        for bench in (a, b):
            bench.provider.prepare = answering_after(0.05)
        name = await deployed(gateways, "b", max_inputs=100)
        calling = asyncio.ensure_future(load(lambda: [a], name, 200, 1.5))
        await asyncio.sleep(0.7)
        b.provider.prepare = lambda front: setattr(front, "on_call", lambda call: None)
        for front in b.provider.fronts.values():
            b.provider.prepare(front)
        sure = a.calling(name, b"sure")
        await until(lambda: any(one.body == b"sure" for one in b.all_calls()), "it runs")
        held = len(a.service.several.forwarder.active)  # sent to it, read there or not
        await gateways.kill("b")
        assert problem(await sure)["code"] == "gateway_lost"
        answers = await calling
        assert [one for one in answers if isinstance(one, BaseException)] == []
        lost = [one for one in answers if one.status != 200]
        assert all(problem(one)["code"] == "gateway_lost" for one in lost)
        # A few more are sent before the end of a connection is read.
        assert len(lost) <= held + 20, (len(lost), held)
        ok = [one for one in answers if one.status == 200]
        assert len(ok) + len(lost) == 300


async def test_a_chain_of_calls_over_gateways_that_comes_back_to_a_full_function_fails_at_once():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        first = await deployed(gateways, "a", scaling=Scaling(max_containers=1))
        second = await deployed(gateways, "b")
        a.fronts(a.entry(first))[0].on_call = lambda call: None
        b.fronts(b.entry(second))[0].on_call = lambda call: None
        outer = a.calling(first, b"1")
        (one,) = await a.calls(1)
        within = {"Faas-Parent": one.id, "Faas-Depth": "0"}
        middle = a.calling(second, b"2", within)
        (two,) = await b.calls(1)
        assert two.headers[b"faas-depth"] == b"1"
        assert two.headers[b"faas-ancestry"] == one.id.encode()
        chain = {"Faas-Parent": f"{two.id},{one.id}", "Faas-Depth": "1"}
        back = await b.call(first, b"3", chain)
        assert (back.status, problem(back)["code"]) == (503, "nested_deadlock")
        two.answer()
        one.answer()
        assert [(await outer).status, (await middle).status] == [200, 200]


async def test_a_bad_chain_is_refused():
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "a")
        a = gateways.benches["a"]
        for parent in ("x" * 3000, "not an id!", "a,,b"):
            assert (await a.call(name, b"1", {"Faas-Parent": parent})).status == 400
