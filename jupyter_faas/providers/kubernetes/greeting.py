"""Meets runners: asks each start of each runner once who it is, as soon as it listens.

Before a pod is claimed, so that the claim need not wait for it; the kubelet's word that it is
ready would come up to a second later.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from jupyter_faas.core.errors import FaasError
from jupyter_faas.core.specialisation import Hello
from jupyter_faas.providers.base import Seal
from jupyter_faas.providers.kubernetes.pod_state import Pod, PodStage

Greet = Callable[[str], Awaitable[Hello]]
"""Asks the runner at an address who it is.

Raises:
    FaasError: It does not answer.
"""

_FIRST_S, _SLOWER, _LONGEST_S = 0.02, 1.3, 1.0


class Met(NamedTuple):
    """A runner that has answered."""

    container_id: str
    hello: Hello
    seal: Seal | None


class Greeter:
    """Who has been met.

    Args:
        greet: See `Greet`.
        on_met: Called with a pod whose runner has answered.
    """

    def __init__(self, greet: Greet, on_met: Callable[[Pod], None]) -> None:
        self._greet = greet
        self._on_met = on_met
        self._met: dict[str, Met] = {}
        self._asking: dict[str, tuple[str, asyncio.Task[None]]] = {}

    def met(self, pod: Pod) -> Met | None:
        """Return the answer of this start of a pod's runner, None if there is none yet."""
        found = self._met.get(pod.uid)
        return found if found is not None and found.container_id == pod.container_id else None

    def meet(self, pod: Pod) -> None:
        """Begin to ask a pod's runner, unless it has answered or is being asked."""
        if pod.stage is not PodStage.RUNNING or not pod.address or self.met(pod):
            return
        asking = self._asking.get(pod.uid)
        if asking is not None:
            if asking[0] == pod.container_id:
                return
            asking[1].cancel()
        task = asyncio.get_running_loop().create_task(self._ask(pod))
        self._asking[pod.uid] = (pod.container_id, task)

    def forget(self, pod: Pod) -> None:
        """A pod is not there any more."""
        self._met.pop(pod.uid, None)
        asking = self._asking.pop(pod.uid, None)
        if asking is not None:
            asking[1].cancel()

    async def close(self) -> None:
        """Ask nobody any more."""
        tasks = [task for _, task in self._asking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def ask_now(self, pod: Pod) -> Met | None:
        """Ask once; None if there is no answer."""
        try:
            hello = await self._greet(pod.address)
        except FaasError:
            return None
        met = self._met[pod.uid] = Met(pod.container_id, hello, seal_of(hello, pod.uid))
        return met

    async def _ask(self, pod: Pod) -> None:
        delay_s = _FIRST_S
        while await self.ask_now(pod) is None:
            await asyncio.sleep(delay_s)
            delay_s = min(_LONGEST_S, delay_s * _SLOWER)
        del self._asking[pod.uid]
        self._on_met(pod)


def seal_of(hello: Hello, pod_uid: str) -> Seal | None:
    """Return what a specialisation of this runner is sealed to; None: it takes one in plain."""
    if not (hello.public_key and hello.nonce):
        return None
    with suppress(ValueError):
        return Seal(
            public_key=base64.b64decode(hello.public_key, validate=True),
            nonce=base64.b64decode(hello.nonce, validate=True),
            pod_uid=pod_uid,
        )
    return None
