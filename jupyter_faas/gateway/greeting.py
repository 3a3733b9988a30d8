"""Asks a runner who it is, before it is anybody's replica: what a provider cannot do by itself."""

from __future__ import annotations

import msgspec

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.core.specialisation import Hello
from jupyter_faas.wire.upstream import AnswerLost, request

TIMEOUT_S = 2.0


async def greet(address: str, with_modules: bool = False) -> Hello:
    """Return what the runner at an address says about itself.

    Args:
        address: `HOST:PORT` or `unix:PATH`.
        with_modules: Also what it can import; takes it some 50 ms the first time.

    Raises:
        ProviderError: It does not answer, or not like a runner.
    """
    target = "/v1/runner?modules" if with_modules else "/v1/runner"
    try:
        answer = await request(address, "GET", target, timeout_s=TIMEOUT_S)
        if answer.status == 200:
            return msgspec.json.decode(answer.body, type=Hello)
    except (AnswerLost, OSError, TimeoutError, msgspec.MsgspecError) as error:
        raise ProviderError(f"The runner at {address} does not answer: {error}") from error
    raise ProviderError(f"The runner at {address} answers with status {answer.status}.")
