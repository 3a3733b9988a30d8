"""What the items of maps use, by function: sums for as long as the driver lives.

The gateway asks for them and meters what was added. What runs on its own replicas it has metered
already, call by call: of that only the items are counted here.
"""

from __future__ import annotations

import secrets

from jupyter_faas.core.mapping import MapOrder, MapUse, MapUses


class Usage:
    """Sums of one function.

    Attributes:
        items: That have ended, failed ones too.
        failed: Those of them that failed.
        memory_mib_s: Memory limit times run time, where the gateway does not meter.
        cpu_s: CPU time of the same.
    """

    def __init__(self) -> None:
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

    def of(self, order: MapOrder) -> Usage:
        """Return the sums of the function that a map is of."""
        return self._usages.setdefault((order.namespace, order.function), Usage())

    def told(self) -> MapUses:
        """Return all sums as the gateway gets them."""
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
        return MapUses(driver=self._driver, functions=functions)
