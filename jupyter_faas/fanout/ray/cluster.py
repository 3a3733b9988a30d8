"""The seats of one Ray: placed on its nodes, opened and closed. The only module that imports Ray.

Ray of one's own is one node that stays. Of a cluster, nodes come and go: `look` places a seat for
each CPU of those that are there, and says when they have changed. All methods may be called from
several threads but `look`, which one calls.
"""

from __future__ import annotations

import logging
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from jupyter_faas.fanout.ray import own
from jupyter_faas.fanout.ray.reasons import has_left, reason
from jupyter_faas.fanout.ray.scaling import Worker, number_of
from jupyter_faas.fanout.ray.seat import Seat
from jupyter_faas.fanout.ray.words import HostStart, Open, Opened, Up

LOOK_S = 0.5
"""How often to look whether nodes have come or gone."""
_SEAT_S = 60.0
_AGAIN_S = 10.0
"""A node whose seat does not start gets the next one after so long."""
_log = logging.getLogger(__name__)


class Node(NamedTuple):
    """A machine of Ray's, or a pod."""

    id: str
    address: str
    cpus: int
    name: str = ""
    """Of the pod."""


class Placed:
    """A seat on a node.

    Attributes:
        is_ready: There is something to fork replicas from.
    """

    def __init__(self, node: Node, actor: Any, *, is_ready: bool) -> None:
        self.node = node
        self.actor = actor
        self.is_ready = is_ready
        self.is_up = None if is_ready else actor.ready.remote()


class RayCluster:
    """Ray, and the seats on it.

    Args:
        start: How Ray is to be started, or where it is.
        clock: Monotonic seconds.
    """

    def __init__(self, start: HostStart, clock: Callable[[], float] = time.monotonic) -> None:
        self.trouble = ""
        """Why the last seat that did not start did not."""
        self._start = start
        self._clock = clock
        self._is_own = not start.address
        self._ray: Any = None
        self._here = ""
        self._is_over = False
        self._lock = threading.Lock()
        self._seats: dict[int, Placed] = {}
        self._next = 0
        self._not_before: dict[str, float] = {}
        self._leaving: set[str] = set()
        """Nodes that are about to go."""
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The seats that take replicas; those of workers that are the first to go come last."""
        return self._ready(is_leaving=False)

    @property
    def leaving(self) -> tuple[int, ...]:
        """Seats that take nothing more."""
        return self._ready(is_leaving=True)

    def workers(self, busy: Collection[int]) -> list[Worker]:
        """Return the nodes that have seats and stay, given the seats that are busy."""
        with self._lock:
            seats = [item for item in self._seats.items() if item[1].node.id not in self._leaving]
        nodes = {seat.node.id: seat.node for _, seat in seats}
        places = [seat.node.id for _, seat in seats]
        at_work = {seat.node.id for number, seat in seats if number in busy}
        return [
            Worker(id, node.name, places.count(id), id in at_work) for id, node in nodes.items()
        ]

    def leave(self, nodes: Collection[str]) -> None:
        """Begin nothing more on these nodes: they are about to go."""
        with self._lock:
            self._leaving.update(nodes)

    def up(self, took_s: float = 0.0) -> Up:
        """Return what a driver hears first."""
        python = ".".join(platform.python_version_tuple()[:2])
        version = str(self._ray.__version__)
        seat_mib = int(os.environ.get("FAAS_RAY_SEAT_MIB") or 0)
        return Up(
            seats=self.numbers, took_s=took_s, version=version, python=python, seat_mib=seat_mib
        )

    def try_to_begin(self) -> str:
        """Start Ray, or join it, and place the first seats; returns why not, as a sentence."""
        try:
            self._begin()
        except ImportError:
            return (
                "Ray is not installed where the function runs: "
                "`pip install 'jupyter_faas[ray]'` in the notebook's environment."
            )
        except Exception as error:
            return f"Ray does not start: {type(error).__name__}: {reason(error)}"
        return ""

    def look(self) -> bool:
        """Place seats where there are none yet and forget those that are gone; True: it changed."""
        before = self.numbers, self.leaving
        nodes = self._nodes()
        with self._lock:
            self._leaving &= nodes.keys()
            for number, seat in tuple(self._seats.items()):
                if seat.node.id not in nodes:
                    del self._seats[number]
            self._place_missing(nodes)
            waiting = [(n, seat) for n, seat in self._seats.items() if not seat.is_ready]
        for number, seat in waiting:
            self._settle(number, seat)
        return (self.numbers, self.leaving) != before

    def open(self, order: Open) -> Opened:
        """Start a replica on a seat; a seat that has died is placed anew."""
        for is_last in (False, True):
            seat = self._seats.get(order.seat)
            if seat is None:
                break
            try:
                address = self._ray.get(
                    seat.actor.open.remote(order.replica, *self._listen(seat, order)),
                    timeout=_SEAT_S,
                )
            except self._ray.exceptions.RayActorError as error:
                if is_last:
                    return _not_opened(order, error)
                self._place_anew(order.seat, seat)
            except Exception as error:
                return _not_opened(order, error)
            else:
                is_here = seat.node.address == self._here
                return Opened(
                    seat=order.seat, replica=order.replica, address=address, is_here=is_here
                )
        why = "the seat is gone."
        return Opened(seat=order.seat, replica=order.replica, why=why, is_gone=True)

    def close(self, number: int, replica: str) -> None:
        """End a replica at once."""
        seat = self._seats.get(number)
        if seat is not None:
            seat.actor.close.remote(replica)

    def watch(self, on_fallen: Callable[[], None]) -> None:
        """Wait until Ray of one's own has lost a process that it cannot do without.

        Such a Ray neither goes on nor ends: what it still has is ended, and `on_fallen` called.
        """
        parts = own.Parts()
        parts.wait()
        if not self._is_over:
            parts.kill()
            self._clean()
            on_fallen()

    def end(self) -> None:
        """End the seats, and Ray if it is ours."""
        self._is_over = True
        if self._ray is not None:
            for seat in self._seats.values():
                self._ray.kill(seat.actor)
            self._ray.shutdown()
        self._clean()

    # -- inside

    def _clean(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()

    def _begin(self) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        if self._is_own:
            own.prepare()
        import ray  # noqa: PLC0415 - half a second, and may be missing

        self._ray = ray
        if self._is_own:
            self._scratch = own.start_patiently(ray, self._start)
        else:
            ray.init(address=self._start.address, log_to_driver=False, logging_level="warning")
        self._here = str(ray.util.get_node_ip_address())
        self.look()

    def _nodes(self) -> dict[str, Node]:
        """Return the nodes that have CPUs for seats."""
        found = {}
        for one in self._ray.nodes():
            cpus = int(one["Resources"].get("CPU", 0)) if one["Alive"] else 0
            if cpus:
                name = one.get("NodeManagerHostname", "")
                found[one["NodeID"]] = Node(one["NodeID"], one["NodeManagerAddress"], cpus, name)
        return found

    def _ready(self, *, is_leaving: bool) -> tuple[int, ...]:
        with self._lock:
            found = [
                (number_of(seat.node.name) or 0, number)
                for number, seat in self._seats.items()
                if seat.is_ready and (seat.node.id in self._leaving) is is_leaving
            ]
        return tuple(number for _, number in sorted(found))

    def _place_missing(self, nodes: dict[str, Node]) -> None:
        for node in nodes.values():
            there = sum(seat.node.id == node.id for seat in self._seats.values())
            is_late = self._clock() < self._not_before.get(node.id, 0.0)
            if is_late or node.id in self._leaving:
                continue
            for _ in range(node.cpus - there):
                if self._start.cpus and len(self._seats) >= self._start.cpus:
                    return
                self._seats[self._next] = self._place(node)
                self._next += 1

    def _place(self, node: Node) -> Placed:
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            node_id=node.id, soft=False
        )
        options = {"num_cpus": 1, "max_restarts": 0, "scheduling_strategy": strategy}
        is_other = bool(self._here) and node.address != self._here
        environ = {} if is_other else self._start.environ
        actor = self._ray.remote(**options)(Seat).remote(environ)
        return Placed(node, actor, is_ready=self._is_own)

    def _place_anew(self, number: int, gone: Placed) -> None:
        """Put a seat in the place of one that is gone, unless another thread has."""
        with self._lock:
            if self._seats.get(number) is gone:
                seat = self._seats[number] = self._place(gone.node)
                seat.is_ready = True

    def _settle(self, number: int, seat: Placed) -> None:
        """Learn what has become of a seat that was placed."""
        done, _ = self._ray.wait([seat.is_up], timeout=0)
        if not done:
            return
        try:
            self._ray.get(seat.is_up)
        except Exception as error:
            self.trouble = reason(error)
            _log.warning("a seat on %s does not start: %s", seat.node.address, error)
            with self._lock:
                self._seats.pop(number, None)
                self._not_before[seat.node.id] = self._clock() + _AGAIN_S
        else:
            seat.is_ready = True

    def _listen(self, seat: Placed, order: Open) -> tuple[str, bytes]:
        """Return where a replica is to listen, and whom it is to trust."""
        if self._is_own:
            return f"unix:{order.socket}", b""
        host = seat.node.address
        return f"[{host}]:0" if ":" in host else f"{host}:0", order.trust


def _not_opened(order: Open, error: Exception) -> Opened:
    _log.warning("seat %d starts no replica: %s", order.seat, error)
    is_gone = has_left(error)
    return Opened(seat=order.seat, replica=order.replica, why=reason(error), is_gone=is_gone)
