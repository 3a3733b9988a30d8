"""What other gateways say of the functions they own, so that each one can show them all.

Heard on the links (`peer_link.py`): replicas, counts and the last decision of the autoscaler by
function, and every event, which goes into this gateway's own stream under a number of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_faas.core.model import ReplicaState
from jupyter_faas.core.ownership import Target
from jupyter_faas.gateway.events import KINDS, EventLog
from jupyter_faas.gateway.peers import Peer

View = dict[str, Any]
_MOST_ENDED = 32
"""Maps of one peer that have ended and are still shown."""


class Mirrored:
    """What is shown of one function that another gateway owns.

    Attributes:
        replicas: By id, as views.
        counts: As a view; empty: nothing was heard.
        scaled: The last decision, or None.
    """

    __slots__ = ("counts", "replicas", "scaled")

    def __init__(self) -> None:
        self.replicas: dict[str, View] = {}
        self.counts: View = {}
        self.scaled: View | None = None


class Elsewhere:
    """Keeps what peers say.

    Args:
        events: Gets what they say.
        url_of: Returns this gateway's address of a function, for views that name another's.
    """

    def __init__(self, events: EventLog, url_of: Callable[[str, str], str]) -> None:
        self.forgets_replicas = True
        """Whether the replicas of a gateway that is gone are gone too."""
        self._events = events
        self._url_of = url_of
        self._functions: dict[str, dict[Target, Mirrored]] = {}
        self._maps: dict[str, dict[str, View]] = {}

    def of(self, peer: Peer, target: Target) -> Mirrored | None:
        """Return what a peer says of a function; None: nothing yet."""
        return self._functions.get(peer.id, {}).get(target)

    def maps(self) -> list[View]:
        """Return the maps that peers have, as they were last heard of."""
        return [state for states in self._maps.values() for state in states.values()]

    def on_event(self, peer: Peer, kind: str, said: View) -> None:
        """Take what a peer says."""
        if kind == "snapshot":
            self._take_snapshot(peer, said)
        elif kind in KINDS:
            self._note(peer, kind, said)
            self._republish(peer, kind, said)

    def on_gone(self, peer: Peer) -> None:
        """What a peer has said is not so any more."""
        gone = self._functions.pop(peer.id, {})
        for state in self._maps.pop(peer.id, {}).values():
            if state["state"] == "running" and not state["isKept"]:
                self._publish_map({**state, "state": "failed", "note": "Its gateway is gone."})
        if not self.forgets_replicas:
            return
        for (namespace, name), mirrored in gone.items():
            for id, view in mirrored.replicas.items():
                lost = {**view, "state": ReplicaState.LOST, "reason": "its gateway is gone"}
                self._events.publish(
                    "replica", namespace=namespace, function=name, id=id, value=lost
                )

    def _take_snapshot(self, peer: Peer, said: View) -> None:
        functions = self._functions[peer.id] = {}
        self._maps[peer.id] = {}
        for state in said.get("maps", ()):
            self._maps[peer.id][state["id"]] = state
            self._publish_map(state, peer.id)
        for one in said["functions"]:
            mirrored = functions[one["namespace"], one["name"]] = Mirrored()
            mirrored.replicas = {replica["id"]: replica for replica in one["replicas"]}
            mirrored.counts = one["counts"]
            mirrored.scaled = one["scaled"]
            for id, replica in mirrored.replicas.items():
                self._events.publish(
                    "replica",
                    namespace=one["namespace"],
                    function=one["name"],
                    id=id,
                    value=replica,
                    origin=peer.id,
                )

    def _note(self, peer: Peer, kind: str, said: View) -> None:
        functions = self._functions.setdefault(peer.id, {})
        target = (said["namespace"], said["function"])
        value = said["value"]
        if kind == "deleted":
            functions.pop(target, None)
        elif kind == "map":
            self._note_map(peer, value)
        elif kind in ("replica", "counts", "scaling"):
            mirrored = functions.setdefault(target, Mirrored())
            if kind == "counts":
                mirrored.counts = value
            elif kind == "scaling":
                mirrored.scaled = value
            elif value["state"] == ReplicaState.LOST:
                mirrored.replicas.pop(said["id"], None)
            else:
                mirrored.replicas[said["id"]] = value

    def _note_map(self, peer: Peer, state: View) -> None:
        states = self._maps.setdefault(peer.id, {})
        states[state["id"]] = state
        ended = [id for id, one in states.items() if one["state"] != "running"]
        for id in ended[:-_MOST_ENDED]:
            del states[id]

    def _publish_map(self, state: View, origin: str = "") -> None:
        self._events.publish(
            "map",
            namespace=state["namespace"],
            function=state["function"],
            id=state["id"],
            value=state,
            origin=origin,
        )

    def _republish(self, peer: Peer, kind: str, said: View) -> None:
        value = said["value"]
        namespace, name = said["namespace"], said["function"]
        if kind == "function":
            value = {**value, "url": self._url_of(namespace, name)}
        self._events.publish(
            kind, namespace=namespace, function=name, id=said["id"], value=value, origin=peer.id
        )
