"""The zygotes of this process: one for each Python environment that kernels were asked for.

Started at the first kernel, replaced when what is installed has changed, hung up on when others
were used since. Called by `provisioner.py`; whatever goes wrong here is `NotForkable`, and the
kernel is started plainly.
"""

from __future__ import annotations

import atexit
import os
import threading

from jupyter_faas.kernels.birth import Birth, NotForkable
from jupyter_faas.kernels.forked import ForkedKernel
from jupyter_faas.kernels.order import Order
from jupyter_faas.kernels.process import Stale, Streams, ZygoteProcess

MAX_ZYGOTES = 4
"""Of different environments; the least recently used one makes room. Each takes about 60 MiB."""

_TRIES = 3


class Nursery:
    """All zygotes of one process."""

    def __init__(self) -> None:
        self._zygotes: dict[Birth, ZygoteProcess] = {}
        self._retired: list[ZygoteProcess] = []
        self._lock = threading.Lock()

    async def fork(self, birth: Birth, order: Order, streams: Streams) -> ForkedKernel:
        """Return a kernel forked from the zygote of its environment.

        Raises:
            NotForkable: None can be; the text says why.
        """
        for _ in range(_TRIES):
            zygote = self._zygote(birth)
            try:
                return await zygote.fork(order, streams)
            except Stale:
                self._retire(zygote)
        raise NotForkable("packages are being installed at this moment")

    def pids(self) -> list[int]:
        """Return the processes of all zygotes that are ordered from, the last used last."""
        with self._lock:
            return [zygote.pid for zygote in self._zygotes.values() if zygote.is_usable()]

    def close(self) -> None:
        """End all zygotes; kernels go on until this process ends."""
        with self._lock:
            zygotes = [*self._zygotes.values(), *self._retired]
            self._zygotes, self._retired = {}, []
        for zygote in zygotes:
            zygote.kill()

    def _zygote(self, birth: Birth) -> ZygoteProcess:
        with self._lock:
            self._retired = [zygote for zygote in self._retired if not zygote.has_ended()]
            zygote = self._zygotes.pop(birth, None)
            if zygote is not None and not zygote.is_usable():
                self._retired.append(zygote)
                zygote = None
            if zygote is None:
                zygote = ZygoteProcess(birth)
            self._zygotes[birth] = zygote  # the last one is the one used last
            while len(self._zygotes) > MAX_ZYGOTES:
                self._hang_up(next(iter(self._zygotes.values())))
            return zygote

    def _retire(self, zygote: ZygoteProcess) -> None:
        with self._lock:
            if self._zygotes.get(zygote.birth) is zygote:
                self._hang_up(zygote)

    def _hang_up(self, zygote: ZygoteProcess) -> None:
        del self._zygotes[zygote.birth]
        zygote.hang_up()
        self._retired.append(zygote)


_nurseries: dict[int, Nursery] = {}


def nursery() -> Nursery:
    """Return the nursery of this process; a forked one does not share its parent's zygotes."""
    pid = os.getpid()
    if pid not in _nurseries:
        _nurseries.clear()
        _nurseries[pid] = Nursery()
    return _nurseries[pid]


@atexit.register
def _close() -> None:
    """End the zygotes with this process; not with one that it has forked."""
    if os.getpid() in _nurseries:
        _nurseries[os.getpid()].close()
