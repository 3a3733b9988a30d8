"""One driver, as its host sees it: obeyed, told, and cleaned up after."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import msgspec

from jupyter_faas.fanout.ray.cluster import RayCluster
from jupyter_faas.fanout.ray.words import Close, Event, Open, Order, Want

_orders = msgspec.json.Decoder(Order)


class Out(Protocol):
    """Takes bytes at once."""

    def write(self, data: bytes, /) -> int | None:
        """Take them."""


class Line:
    """The line to one driver.

    Args:
        cluster: Has the seats.
        out: Where events go.
        on_want: Called when `wanted` has changed.
    """

    def __init__(
        self, cluster: RayCluster, out: Out, on_want: Callable[[], None] = lambda: None
    ) -> None:
        self.wanted = 0
        """Seats that its maps could use."""
        self.busy: tuple[int, ...] = ()
        """Seats that have chunks of them."""
        self._cluster = cluster
        self._out = out
        self._on_want = on_want
        self._lock = threading.Lock()
        self._opened: dict[str, int] = {}
        self._is_left = False

    def obey(self, line: bytes) -> None:
        """Do what the driver says; the answer comes when it is done.

        Raises:
            msgspec.DecodeError: It says nothing that is known here.
        """
        order = _orders.decode(line)
        if isinstance(order, Want):
            self.wanted, self.busy = max(0, order.seats), order.busy
            self._on_want()
        elif isinstance(order, Close):
            self._opened.pop(order.replica, None)
            self._cluster.close(order.seat, order.replica)
        else:
            self._opened[order.replica] = order.seat
            threading.Thread(target=self._open, args=(order,), daemon=True).start()

    def say(self, event: Event) -> None:
        """Tell the driver; one that is gone, or does not listen, is not waited for."""
        with self._lock, suppress(OSError, ValueError):
            self._out.write(msgspec.json.encode(event) + b"\n")

    def leave(self) -> None:
        """The driver is gone: end what it has started."""
        self._is_left = True
        self.wanted, self.busy = 0, ()
        for replica, seat in tuple(self._opened.items()):
            self._cluster.close(seat, replica)

    def _open(self, order: Open) -> None:
        self.say(self._cluster.open(order))
        if self._is_left:
            self._cluster.close(order.seat, order.replica)
