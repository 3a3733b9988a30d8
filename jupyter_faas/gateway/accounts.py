"""What functions have come to: written with the records that it is made of, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from jupyter_faas.core.mapping import MapTally, MapUse
from jupyter_faas.gateway.counts import past_of
from jupyter_faas.gateway.entries import FunctionEntry
from jupyter_faas.gateway.metering import Metering
from jupyter_faas.gateway.registry import Registry
from jupyter_faas.gateway.store.rows import InvocationRow, functions_of
from jupyter_faas.gateway.tallies import Tallies

if TYPE_CHECKING:
    from jupyter_faas.gateway.store.base import Pasts, Store


class Accounts:
    """Of all functions.

    Args:
        store: Keeps them.
        registry: Knows the functions.
        clock: Monotonic seconds.
    """

    def __init__(self, store: Store, registry: Registry, clock: Callable[[], float]) -> None:
        self.metering = Metering(self._keep)
        self.on_used: Callable[[FunctionEntry], None] = lambda entry: None
        """Told of a function whose maps have used something."""
        self._store = store
        self._registry = registry
        self._clock = clock
        self.tallies = Tallies({}, clock())
        """Of kept maps: how many of their items have been counted."""

    async def load(self) -> None:
        """Go on from what the store has of kept maps."""
        self.tallies = Tallies(await self._store.tallies(), self._clock())

    def add_maps(self, used: Sequence[MapUse], kept: Sequence[MapTally]) -> None:
        """Maps have used something; items of kept ones are counted by how far they are."""
        counted, noted = self.tallies.take(kept, self._clock())
        self.metering.flush()  # from here on all is in one transaction
        for use in (*used, *counted):
            self.metering.add_items(use)
        pasts = self._pasts({(use.namespace, use.function) for use in (*used, *counted)})
        if pasts or noted:
            self._store.add_invocations((), pasts, noted)
        for key in pasts:
            self.on_used(self._registry.get(*key))

    def _keep(self, rows: Sequence[InvocationRow]) -> None:
        """Give records to the store, and with them what their functions have come to."""
        self._store.add_invocations(rows, self._pasts(functions_of(rows)))

    def _pasts(self, keys: Iterable[tuple[str, str]]) -> Pasts:
        find = self._registry.find
        found = {key: entry for key in keys if (entry := find(*key)) is not None}
        # What is asked for first hands over the records there are: none is counted before it is.
        used = {key: self.metering.used(*key) for key in found}
        return {key: past_of(entry, used[key]) for key, entry in found.items()}
