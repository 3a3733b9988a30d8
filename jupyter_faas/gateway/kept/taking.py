"""Looks what there is to run of a store that several gateways share, and takes it over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from jupyter_faas.core.errors import known
from jupyter_faas.gateway.store.kept_base import KeptStore, Known, Owns

LOOK_S = 1.0
"""So often a shared store is asked, while there is something: it also hears that we are there."""
REST_LOOK_S = 15.0
_log = logging.getLogger(__name__)


class Taking:
    """See above.

    Args:
        store: Is asked.
        take_up: Gets what was taken, oldest first; some of it may be known already.
        is_busy: Whether there is something to run here.
    """

    def __init__(
        self,
        store: KeptStore,
        take_up: Callable[[list[Known]], None],
        is_busy: Callable[[], bool],
    ) -> None:
        self.owns: Owns = lambda _namespace, _name: True
        """Whether calls of a function are this gateway's to run."""
        self._store = store
        self._take_up = take_up
        self._is_busy = is_busy
        self._now = asyncio.Event()
        self._is_more = self._is_unheard = False

    def look_now(self) -> None:
        """There may be something: functions have changed hands."""
        self._now.set()

    async def once(self) -> None:
        """Take over what there is.

        Raises:
            ProviderError: The store cannot be asked.
        """
        taken, self._is_more = await self._store.take(self.owns, again=self._is_unheard)
        self._is_unheard = False
        self._take_up(taken)

    async def keep_looking(self) -> None:
        """Do so now, and again and again; a store that is away is waited for."""
        self._now.set()
        while True:
            is_at_work = self._is_busy() or self._is_more or self._is_unheard
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if is_at_work else REST_LOOK_S):
                    await self._now.wait()
            self._now.clear()
            try:
                await self.once()
            except Exception as error:
                self._is_unheard = True
                why = known(error).detail
                _log.warning("what there is to run of kept calls is not known: %s", why)
