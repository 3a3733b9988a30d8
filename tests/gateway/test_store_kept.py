"""Kept calls in SQLite: what is durable, what is forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway.store.kept import SqliteKept
from jupyter_faas.gateway.store.kept_base import (
    ENDED,
    QUEUED,
    STARTED,
    KeptAnswer,
    KeptCall,
    Known,
)
from jupyter_faas.gateway.store.sqlite import SqliteStore

ANSWER = KeptAnswer(200, [(b"Content-Type", b"text/plain")], b"said", 100.0)


async def unfinished(kept: SqliteKept) -> list[Known]:
    return (await kept.take(lambda _namespace, _name: True)).calls


def call(id: str, *, key: str = "", callback_url: str = "") -> KeptCall:
    headers = [(b"content-type", b"application/json")]
    return KeptCall(id, "default", "f", 1.0, headers=headers, key=key, callback_url=callback_url)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[SqliteKept]:
    store = SqliteStore(tmp_path / "faas.db", lambda: 0.0)
    await store.open()
    yield store.kept
    await store.close()


async def test_a_call_is_there_with_its_body_until_it_has_ended(kept: SqliteKept) -> None:
    assert await kept.add(call("a"), b"body") == "a"
    assert await kept.find("a") == (call("a"), QUEUED)
    assert await kept.body("a") == b"body"
    assert await kept.answer("a") is None
    await kept.note_started("a")
    assert [known.state for known in await unfinished(kept)] == [STARTED]
    await kept.end("a", ANSWER, is_told=True)
    assert await kept.body("a") is None
    assert await kept.answer("a") == ANSWER
    assert await unfinished(kept) == []
    assert await kept.find("nothing") is None


async def test_the_unfinished_are_listed_in_their_order_and_those_to_be_told(
    kept: SqliteKept,
) -> None:
    for id in "cab":
        await kept.add(call(id), b"")
    await kept.add(call("told", callback_url="http://localhost/"), b"")
    await kept.end("told", ANSWER, is_told=False)
    assert [known.call.id for known in await unfinished(kept)] == ["c", "a", "b", "told"]
    assert (await unfinished(kept))[-1].state == ENDED
    await kept.note_told("told")
    assert [known.call.id for known in await unfinished(kept)] == ["c", "a", "b"]


async def test_a_key_is_one_call_and_an_id_too(kept: SqliteKept) -> None:
    assert await kept.add(call("a", key="k"), b"1") == "a"
    assert await kept.add(call("b", key="k"), b"2") == "a"
    assert await kept.find("b") is None
    with pytest.raises(BadRequest, match="kept already"):
        await kept.add(call("a"), b"3")
    assert await kept.body("a") == b"1"


async def test_only_what_has_ended_and_was_told_is_forgotten(kept: SqliteKept) -> None:
    for id in "abc":
        await kept.add(call(id), b"")
    await kept.end("a", ANSWER, is_told=True)
    await kept.end("b", ANSWER, is_told=False)
    assert await kept.drop(99.0) == 0
    assert await kept.drop(101.0) == 1
    assert [known.call.id for known in await unfinished(kept)] == ["b", "c"]
