"""What is left of a map whose gateway goes away: the inputs that have no outcome yet.

A map that is not kept lives as long as its connection. Its caller still has what it sent: where
the function may run again, it begins the map once more with what is left, at the gateway's
successor. Items of that leg are numbered anew; here they keep their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from jupyter_faas.core.errors import GatewayLost
from jupyter_faas.core.mapping import TRIES_HEADER, MapOrder

if TYPE_CHECKING:
    from jupyter_faas.client.map_inputs import Item

MOST_BYTES = 128 << 20
"""So much is held; then the next inputs wait until outcomes have been read."""
PATIENCE_S = 30.0
"""A gateway that is not there again by then is not waited for any longer."""
PAUSE_S = 0.2
SETTLE_S = 0.05
"""Before it is looked for: one that ends might still take a connection, which is lost then, too."""


class Left:
    """Inputs that were sent and have no outcome yet; one thread adds, another takes out.

    Args:
        name: Of the map, for people.
        tries: How often it may be begun, until an answer says so.
    """

    def __init__(self, name: str, tries: int) -> None:
        self.tries = tries
        """How often the map may yet be begun, this time included."""
        self.ended = 0
        """Items that have an outcome."""
        self.id = ""
        """Of the map, as the gateway knows it now."""
        self.count = 0
        """Items that were sent, or are about to be."""
        self.on_room: Callable[[], None] = lambda: None
        """Called, by who takes out, when it is full no more."""
        self._added_bytes = self._ended_bytes = 0  # each is one thread's alone
        self._name = name
        self._items: dict[int, Item] = {}
        self._again: list[int] = []
        self._fresh = 0  # index of the first input that this leg was the first to get
        self._is_told = False
        self._most = tries

    def add(self, items: Sequence[Item]) -> None:
        """Note inputs that are about to be sent."""
        first = self.count
        self.count += len(items)
        if self.tries > 1:
            self._added_bytes += sum(map(len, items))
            self._items.update(zip(range(first, self.count), items, strict=True))

    @property
    def is_full(self) -> bool:
        """Whether no more inputs should be sent now."""
        return self.tries > 1 and self._added_bytes - self._ended_bytes >= MOST_BYTES

    def number(self, at: int) -> int:
        """Return the index in the map of an item of this leg."""
        again = self._again
        return again[at] if at < len(again) else at - len(again) + self._fresh

    def end(self, indices: Sequence[int]) -> None:
        """Note that items have their outcomes."""
        self.ended += len(indices)
        items = self._items
        if not items:
            return
        was_full = self.is_full
        for at in map(self.number, indices) if self._fresh else indices:
            self._ended_bytes += len(items.pop(at, b""))
        if was_full and not self.is_full:
            self.on_room()

    def told(self, headers: Mapping[str, str]) -> None:
        """Notice the map's id, and, at the first answer, how often it may be begun."""
        self.id = headers.get("faas-map-id", self.id)
        said = headers.get(TRIES_HEADER.decode().lower(), "")
        if self._is_told or not said.isdigit():
            return
        self._is_told = True
        self._most = self.tries = int(said)
        if self.tries <= 1:
            self._items.clear()
            self.on_room()

    def begin_again(self, lost: GatewayLost) -> list[Item]:
        """Begin a new leg; return its first inputs, in order.

        Raises:
            GatewayLost: The map may not be begun again.
        """
        if self.tries <= 1:
            raise GatewayLost(
                f"The gateway went away when {self.ended} items of {self._name} had ended. "
                f"{self._reason()}"
            ) from lost
        self.tries -= 1
        self.on_room()  # with the last try nothing holds inputs back
        self._again = sorted(self._items)
        self._fresh = self.count
        return [self._items[at] for at in self._again]

    def order(self, order: MapOrder, headers: Mapping[str, str]) -> MapOrder:
        """Return what is asked for: in a new leg less items, of the revision that ran before.

        Args:
            order: Of the whole map.
            headers: Of the answer before.
        """
        total = None if order.total is None else max(0, order.total - self.ended)
        number = headers.get("faas-revision", "")
        revision = int(number) if number.isdigit() else order.revision
        return msgspec.structs.replace(order, total=total, revision=revision)

    def remark(self) -> str:
        """Return what is said to people about a new leg."""
        return f"{self._name} goes on: the gateway went away when {self.ended} items had ended."

    def _reason(self) -> str:
        if not self._is_told:
            return "The others may have run."
        if self._most == 1:
            return (
                "The others may have run, and idempotent=False forbids to run them again. "
                "spawn_map keeps what is done."
            )
        return "It went away before, too: begun once more, items might run too often."
