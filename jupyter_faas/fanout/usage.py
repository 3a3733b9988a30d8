"""What the items of maps use, by function: sums for as long as the driver lives.

The gateway asks for them and meters what was added. What runs on its own replicas it has metered
already, call by call, and has heard what it printed: of that only the items are counted here. Those
of kept maps are not: their outcomes, which outlast the driver, say how many have ended (`kept.py`).
"""

from __future__ import annotations

import secrets

from jupyter_faas.core.mapping import MapOrder, MapTally, MapUse, MapUses
from jupyter_faas.fanout.unheard import Unheard


class Usage:
    """Sums of one function.

    Args:
        unheard: What its items, and those of others, have printed.

    Attributes:
        items: That have ended, failed ones too.
        failed: Those of them that failed.
        memory_mib_s: Memory limit times run time, where the gateway does not meter.
        cpu_s: CPU time of the same.
    """

    def __init__(self, unheard: Unheard) -> None:
        self.unheard = unheard
        self.items = self.failed = 0
        self.memory_mib_s = self.cpu_s = 0.0

    def spend(self, memory_mib: int, busy_s: float, cpu_s: float) -> None:
        """Add work that the gateway does not see."""
        self.memory_mib_s += memory_mib * busy_s
        self.cpu_s += cpu_s


class Usages:
    """Sums of all functions of one driver."""

    def __init__(self) -> None:
        self._driver = secrets.token_hex(4)
        self._usages: dict[tuple[str, str], Usage] = {}
        self._unheard = Unheard()

    def of(self, order: MapOrder) -> Usage:
        """Return the sums of the function that a map is of."""
        return self._usages.setdefault((order.namespace, order.function), Usage(self._unheard))

    def told(self, kept: tuple[MapTally, ...] = (), heard: int = 0) -> MapUses:
        """Return all sums, and what there is of kept maps, as the gateway gets them.

        Args:
            kept: How far kept maps are.
            heard: Number of the last piece of output that the gateway has.
        """
        functions = tuple(
            MapUse(
                namespace=namespace,
                function=function,
                items=one.items,
                failed=one.failed,
                memory_mib_s=round(one.memory_mib_s, 6),
                cpu_s=round(one.cpu_s, 6),
            )
            for (namespace, function), one in self._usages.items()
        )
        unheard = self._unheard
        return MapUses(
            driver=self._driver,
            functions=functions,
            kept=kept,
            prints=unheard.since(heard),
            last_print=unheard.last,
        )
