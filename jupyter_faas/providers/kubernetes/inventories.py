"""What the runners of each Python minor can import: asked of one, and kept per image."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.core.specialisation import Hello
from jupyter_faas.providers.base import Inventory
from jupyter_faas.providers.kubernetes.pod_state import Pod

_ASKS, _AGAIN_S = 20, 0.2


class Inventories:
    """Inventories of warm pools.

    Args:
        greet: Asks the runner at an address who it is and what it can import.
        runners: Returns pods of a Python minor that are generic.
    """

    def __init__(
        self,
        greet: Callable[[str, bool], Coroutine[Any, Any, Hello]],
        runners: Callable[[str], list[Pod]],
    ) -> None:
        self._greet = greet
        self._runners = runners
        self._known: dict[str, Inventory] = {}

    async def of(self, image: str, python: str) -> Inventory:
        """Return what the runners of an image can import.

        Raises:
            ProviderError: None of them is up just now.
        """
        for _ in range(_ASKS):
            if image in self._known:
                return self._known[image]
            for pod in self._runners(python):
                if found := await self._ask(pod):
                    self._known[image] = found
                    return found
            await asyncio.sleep(_AGAIN_S)
        raise ProviderError(f"No runner of Python {python} is up just now.")

    async def _ask(self, pod: Pod) -> Inventory | None:
        try:
            hello = await self._greet(pod.address, True)
        except ProviderError:
            return None
        return Inventory(python=hello.python, modules=hello.modules, top_level=hello.top_level)
