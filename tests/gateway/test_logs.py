from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.model import Code, Function, Revision, RevisionSpec
from jupyter_faas.gateway.entries import FunctionEntry, RevisionEntry
from jupyter_faas.gateway.logs import GONE_RINGS, Logs, Piece, tail


def entry(name: str = "f") -> RevisionEntry:
    spec = RevisionSpec(code=Code(digest="d", size_bytes=1, entry="f", python="3.11"))
    revision = Revision(function=name, number=1, id="a", spec=spec, created_at=0.0)
    owner = FunctionEntry(Function(name=name, latest=1))
    return RevisionEntry(owner, revision)


def texts(pieces: list[Piece]) -> list[bytes]:
    return [piece.text for piece in pieces]


def test_output_of_all_replicas_is_read_in_the_order_it_came() -> None:
    logs = Logs(lambda: 1.0)
    for replica, text in (("a", b"1\n"), ("b", b"2\n"), ("a", b"3\n")):
        logs.append(replica, entry(), 1, f"call-{replica}", text)
    logs.append("a", entry("other"), 1, "x", b"no\n")
    assert texts(logs.read("default", "f")) == [b"1\n", b"2\n", b"3\n"]
    assert texts(logs.read("default", "f", after=1)) == [b"2\n", b"3\n"]
    assert texts(logs.read("default", "f", invocation="call-a")) == [b"1\n", b"3\n"]
    assert logs.read("default", "unknown") == []


def test_displays_and_nothing_are_not_kept() -> None:
    logs = Logs(lambda: 1.0)
    logs.append("a", entry(), 3, "x", b"a picture")
    logs.append("a", entry(), 1, "x", b"")
    assert logs.read("default", "f") == []


@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=60))
def test_a_ring_never_outgrows_its_bytes_and_keeps_the_newest(written: list[bytes]) -> None:
    logs = Logs(lambda: 1.0, ring_bytes=4096)
    for text in written:
        logs.append("a", entry(), 1, "", text)
    kept = texts(logs.read("default", "f"))
    assert sum(map(len, kept)) <= 4096
    assert kept == written[len(written) - len(kept) :]
    assert bool(kept) == bool(written)


def test_of_a_piece_larger_than_the_ring_the_end_is_kept() -> None:
    logs = Logs(lambda: 1.0, ring_bytes=1024)
    logs.append("a", entry(), 1, "", b"x" * 5000 + b"end")
    (kept,) = texts(logs.read("default", "f"))
    assert len(kept) == 1024
    assert kept.endswith(b"end")


def test_output_of_ended_replicas_stays_for_a_while() -> None:
    logs = Logs(lambda: 1.0)
    function = entry()
    for n in range(GONE_RINGS + 5):
        logs.append(str(n), function, 1, "", b"%d\n" % n)
        logs.replica_gone(str(n), function)
        logs.replica_gone(str(n), function)
    logs.replica_gone("never", function)
    assert texts(logs.read("default", "f"))[0] == b"5\n"
    logs.forget("default", "f")
    assert logs.read("default", "f") == []


def lines_of(pieces: list[Piece]) -> bytes:
    return b"".join(texts(pieces))


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=12), st.integers(0, 12))
def test_the_tail_is_the_last_lines_however_they_were_cut(written: list[bytes], count: int) -> None:
    written = [text.replace(b"b", b"\n") for text in written]
    pieces = [Piece(n, 0.0, 1, "a", "", 1, text) for n, text in enumerate(written)]
    wanted = _lines(b"".join(written))
    assert lines_of(tail(pieces, count)) == b"".join(wanted[max(0, len(wanted) - count) :])


def _lines(text: bytes) -> list[bytes]:
    parts = text.split(b"\n")
    ended = [part + b"\n" for part in parts[:-1]]
    return [*ended, parts[-1]] if parts[-1] else ended


async def test_following_gives_what_comes_and_ends_when_it_is_over() -> None:
    logs = Logs(lambda: 1.0)
    over = False
    logs.append("a", entry(), 1, "x", b"before")
    following = logs.follow(
        "default", "f", after=1, invocation="x", is_over=lambda: over, check_s=0.001
    )
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    logs.append("a", entry(), 1, "y", b"not mine")
    logs.append("a", entry(), 1, "x", b"now")
    assert texts(await waiting) == [b"now"]
    logs.append("a", entry(), 1, "x", b"last")
    over = True
    assert [texts(batch) async for batch in following] == [[b"last"]]
