"""Open-loop load on a function that doubles a number, while something happens to the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.cluster.system import System, Target
from tests.e2e.load import Load

RATE_PER_S, FOR_S = 100, 8.0
DOUBLE = "import time\ndef double(x):\n    time.sleep(0.02)\n    return 2 * x\n"


def load_while(
    system: System,
    name: str,
    harm: Callable[[], object],
    after_s: float = 2.0,
    for_s: float = FOR_S,
) -> Load:
    """Call `name` 100 times a second for `for_s`, and do some harm after `after_s`."""
    load = Load(Target(system.address, system.token), f"{system.namespace}/{name}")

    async def both() -> None:
        calls = asyncio.create_task(load.at_rate(RATE_PER_S, for_s))
        await asyncio.sleep(after_s)  # the harm comes in the middle of the load
        await asyncio.to_thread(harm)
        await calls

    asyncio.run(both())
    return load


def check(load: Load, may_fail: int, for_s: float = FOR_S) -> None:
    """Every answer that came is right; at most `may_fail` calls failed."""
    assert len(load.seen) == int(RATE_PER_S * for_s)
    good = [one for one in load.seen if one.status == 200]
    assert all(one.value == 2 * one.sent for one in good)
    failed = [one for one in load.seen if one.status != 200]
    assert len(failed) <= may_fail, [(one.status, one.value) for one in failed[:5]]
