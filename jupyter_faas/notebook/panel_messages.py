"""What panels are told, in the words of the server extension's WebSocket. Pure.

One reader per kernel hears everything; a panel of one function is told of that one alone, and of
single calls only what it asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from jupyter_faas.wire import sse

Message = dict[str, Any]
View = Mapping[str, Any]


@dataclass(frozen=True)
class Wish:
    """What one panel wants to hear of.

    Attributes:
        function: The one it shows; None: all.
        calls: Functions whose single calls it shows.
        logs: Functions whose output it follows.
    """

    function: str | None
    calls: frozenset[str] = frozenset()
    logs: frozenset[str] = frozenset()


def wish_of(function: str | None, content: View) -> Wish:
    """Return the wish that a page has sent; what is no list of names counts as none."""
    return Wish(function, _names(content.get("calls")), _names(content.get("logs")))


def status(state: str, snapshot: View | None = None, reason: str = "") -> Message:
    """Return the message that tells how the gateway is."""
    known = snapshot or {}
    gateway = {
        "state": state,
        "provider": known.get("provider", ""),
        "url": known.get("url", ""),
        "version": known.get("version", ""),
        "reason": reason,
    }
    return {"type": "gateway", "gateway": gateway}


def part_of(snapshot: View, function: str | None) -> dict[str, Any]:
    """Return a whole state, or what of it is about one function."""
    if function is None:
        return dict(snapshot)
    part = dict(snapshot)
    for name, key in (("functions", "name"), ("replicas", "function"), ("revisions", "function")):
        part[name] = [one for one in snapshot.get(name) or () if one.get(key) == function]
    return part


def read_events(events: Iterable[sse.Event]) -> list[Message]:
    """Return events of the gateway's stream as panels get them."""
    found = []
    for event in events:
        message: Message = msgspec.json.decode(event.data)
        message["kind"] = event.event
        found.append(message)
    return found


def chosen(events: Iterable[Message], wish: Wish) -> list[Message]:
    """Return the events that a panel wants."""
    return [
        event
        for event in events
        if (wish.function is None or event.get("function") == wish.function)
        and (event["kind"] != "call" or event.get("function") in wish.calls)
    ]


def query(wishes: Iterable[Wish]) -> str:
    """Return what a gateway is asked for to fulfil all wishes: `&functions=…&calls=1`."""
    wishes = list(wishes)
    functions = {wish.function for wish in wishes}
    named = "" if None in functions else f"&functions={','.join(sorted(filter(None, functions)))}"
    return named + ("&calls=1" if any(wish.calls for wish in wishes) else "")


def _names(value: Any) -> frozenset[str]:
    if not isinstance(value, (list, tuple)):
        return frozenset()
    return frozenset(one for one in value if isinstance(one, str))
