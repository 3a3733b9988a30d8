"""Lists come in parts, and are told as one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, Object, WatchEvent

NAMES = [f"f{number}" for number in range(60)]


class Parted(KubeApi):
    """An API server that has `NAMES`; a token may expire once."""

    def __init__(self, expires_at: int | None = None) -> None:
        self.expires_at = expires_at
        self.watched_from: list[str] = []
        self.asked = 0

    async def _json(self, method: str, path: str, query: Any, *_: Any) -> Object:
        start = int(query.get("continue", 0))
        if start and start == self.expires_at:
            self.expires_at = None
            raise KubeError(410, "Expired", "too old")
        self.asked += 1
        end = start + int(query["limit"])
        items = [{"metadata": {"name": name}} for name in NAMES[start:end]]
        more = {"continue": str(end)} if end < len(NAMES) else {}
        return {"metadata": {"resourceVersion": "7", **more}, "items": items}

    async def _watch_once(self, path: str, query: Any, version: str) -> AsyncIterator[WatchEvent]:
        self.watched_from.append(version)
        raise KubeError(403, "Forbidden", "the end of this test")
        yield


async def told(api: Parted) -> list[WatchEvent]:
    events: list[WatchEvent] = []
    with suppress(KubeError):
        async for event in api.watch("/api/v1/things"):
            events.append(event)
    return events


async def test_a_long_list_is_asked_for_in_parts_and_synced_once():
    api = Parted()
    *added, synced = await told(api)
    assert [event.object["metadata"]["name"] for event in added] == NAMES
    assert (synced.kind, synced.object) == ("SYNCED", {"names": NAMES})
    assert (api.asked, api.watched_from) == (5, ["7"])


async def test_a_list_whose_next_part_has_expired_begins_anew_and_nothing_is_missed():
    events = await told(Parted(expires_at=24))
    assert [event.kind for event in events].count("SYNCED") == 1
    assert events[-1].object == {"names": NAMES}
    assert {event.object["metadata"]["name"] for event in events[:-1]} == set(NAMES)
