"""Who is there and who owns what, as one gateway sees it: links by hand, no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jupyter_faas.core.ownership import Member, Members, Moves
from jupyter_faas.gateway import peers as peers_module
from jupyter_faas.gateway.membership import Cohort, FixedMembership
from jupyter_faas.gateway.peers import Peer, Peers
from tests.gateway.conftest import until

TARGETS = [("default", f"f{n}") for n in range(40)]
A, B, C = (Member(id, f"127.0.0.1:{n}") for n, id in enumerate("abc", start=1))


class HandLinks:
    """Links that open and end when the test says so."""

    def __init__(self, peers: Peers) -> None:
        self.peers = peers
        self.up: set[str] = set()
        self.changed = asyncio.Event()
        self.gone: list[str] = []
        self.followed: list[str] = []

    def set(self, *ids: str) -> None:
        self.up = set(ids)
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def follow(self, peer: Peer) -> None:
        self.followed.append(peer.id)
        if peer.id not in self.up:
            return
        self.peers.on_open(peer, f"prefix{peer.id}", is_leaving=False)
        while peer.id in self.up:
            await self.changed.wait()

    def on_gone(self, peer: Peer) -> None:
        self.gone.append(peer.id)


class Seen:
    def __init__(self, peers: Peers, links: HandLinks, membership: FixedMembership) -> None:
        self.peers, self.links, self.membership = peers, links, membership
        self.moves: list[Moves] = []
        peers.subscribe(lambda _owners, moves: self.moves.append(moves))

    @property
    def ids(self) -> set[str]:
        return {peer.id for peer in self.peers.all() if peer.serves}

    def owned(self) -> set[str]:
        return {name for space, name in TARGETS if self.peers.owns((space, name))}


@asynccontextmanager
async def peers_of(*members: Member, up: str = "") -> AsyncIterator[Seen]:
    membership = FixedMembership(members)
    peers = Peers(Cohort(A, membership, "t"), lambda: TARGETS)
    links = HandLinks(peers)
    links.up = set(up)
    peers.links = links
    seen = Seen(peers, links, membership)
    await peers.start()
    yield seen
    await peers.close()


def owned_by(id: str, *ids: str) -> set[str]:
    return {name for space, name in TARGETS if Members(ids).owner((space, name)) == id}


async def test_alone_it_owns_everything_and_nothing_is_looked_up():
    async with peers_of(A, B) as seen:
        assert seen.peers.owners is None
        assert seen.moves == [Moves(tuple(TARGETS), ())]
        assert seen.peers.owner_of(TARGETS[0]) is None


async def test_who_answers_at_the_start_has_its_share_from_the_start():
    async with peers_of(A, B, up="b") as seen:
        assert seen.owned() == owned_by("a", "a", "b")
        assert {name for _, name in seen.moves[0].gained} == seen.owned()
        assert len(seen.moves) == 1


async def test_a_peer_that_ends_gives_all_and_one_that_comes_takes_its_share():
    async with peers_of(A, B, up="b") as seen:
        share = owned_by("b", "a", "b")
        seen.links.set()
        await until(lambda: len(seen.moves) == 2, "it has gone")
        assert seen.links.gone == ["b"]
        assert {name for _, name in seen.moves[1].gained} == share
        assert seen.peers.owners is None
        seen.links.set("b")
        await until(lambda: len(seen.moves) == 3, "it is back")
        assert {name for _, name in seen.moves[2].lost} == share


async def test_a_peer_that_leaves_owns_nothing_but_answers_still():
    async with peers_of(A, B, up="b") as seen:
        (peer,) = seen.peers.all()
        seen.peers.on_leaving(peer)
        assert seen.peers.owners is None
        assert seen.peers.maker_of("prefixb") is peer
        assert seen.peers.maker_of("other") is None


async def test_who_leaves_gives_everything_away_unless_nobody_is_there():
    async with peers_of(A, B, up="b") as seen:
        seen.peers.leave()
        assert seen.owned() == set()
        seen.links.set()
        await until(lambda: len(seen.owned()) == len(TARGETS), "nobody else is there")


async def test_a_pod_that_the_cluster_ends_gives_everything_away_before_it_is_told():
    async with peers_of(A, B, up="b") as seen:
        seen.membership.become((B,))
        await until(lambda: seen.owned() == set(), "it is named no more")
        seen.membership.become((A, B))
        await until(lambda: seen.owned() == owned_by("a", "a", "b"), "named again")


async def test_one_that_was_never_named_counts_itself():
    async with peers_of(B, up="b") as seen:
        assert seen.owned() == owned_by("a", "a", "b")


async def test_one_that_is_named_no_more_owns_nothing_and_is_forgotten_at_its_end():
    async with peers_of(A, B, C, up="bc") as seen:
        seen.membership.become((A, B))
        await until(lambda: seen.ids == {"b"}, "c is not expected")
        assert {peer.id for peer in seen.peers.all()} == {"b", "c"}
        seen.links.set("b")
        await until(lambda: "c" not in seen.peers._peers, "forgotten")
        count = seen.links.followed.count("c")
        await asyncio.sleep(0.25)
        assert seen.links.followed.count("c") == count


async def test_one_that_has_linked_to_us_is_looked_at_before_the_cluster_names_it():
    async with peers_of(A) as seen:
        seen.links.set("c")
        seen.peers.heard_of(C)
        await until(lambda: seen.ids == {"c"}, "it has its share")
        seen.links.set()
        await until(lambda: not seen.peers._peers, "forgotten: nobody has named it")
        seen.peers.heard_of(A)
        seen.peers.heard_of(Member("d", ""))
        assert not seen.peers._peers


async def test_one_at_another_address_is_another_one():
    async with peers_of(A, B, up="b") as seen:
        (old,) = seen.peers.all()
        seen.membership.become((A, Member("b", "127.0.0.1:9")))
        await until(lambda: seen.peers.all() not in ([], [old]), "followed anew")
        (new,) = seen.peers.all()
        assert new.address == "127.0.0.1:9"
        assert repr(new) == "Peer(b, 127.0.0.1:9)"
        assert seen.ids == {"b"}


async def test_one_that_refuses_connections_must_open_its_link_anew(caplog):
    async with peers_of(A, B, up="b") as seen:
        (peer,) = seen.peers.all()
        seen.peers.suspect(peer)
        assert seen.peers.owners is None
        seen.peers.suspect(peer)
        assert caplog.text.count("taken as gone") == 1
        await until(lambda: seen.ids == {"b"}, "it answers")
        assert seen.links.followed == ["b", "b"]


async def test_a_membership_that_fails_is_asked_again_and_nobody_is_forgotten(caplog, monkeypatch):
    monkeypatch.setattr(peers_module, "_AGAIN_S", 0.01)

    class Failing:
        asked = 0

        async def watch(self):
            self.asked += 1
            yield (A, B)
            raise RuntimeError("no")

    failing = Failing()
    peers = Peers(Cohort(A, failing, "t"), lambda: TARGETS)
    links = HandLinks(peers)
    links.up = {"b"}
    peers.links = links
    await peers.start()
    await until(lambda: failing.asked > 2, "asked again")
    assert peers.owns(TARGETS[0]) == (Members("ab").owner(TARGETS[0]) == "a")
    await peers.close()
    assert "cannot be heard" in caplog.text


async def test_a_subscriber_that_fails_does_not_keep_others_from_hearing(caplog):
    async with peers_of(A, B) as seen:
        told: list[Moves] = []
        seen.peers.subscribe(lambda _owners, _moves: 1 / 0)
        seen.peers.subscribe(lambda _owners, moves: told.append(moves))
        seen.links.set("b")
        await until(lambda: told, "heard")
        assert "could not be followed" in caplog.text
