"""What to do with a replica that another gateway, or an earlier one, has started.

`fate_of` decides from what its front says to somebody who knows its secret (pure); `meet` asks.
Used by the fleet when a gateway comes to own a function that has replicas.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import NamedTuple

import msgspec

from jupyter_faas.core.errors import FaasError, ProviderError
from jupyter_faas.core.model import speaks
from jupyter_faas.core.specialisation import Hello
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.providers.base import Seal
from jupyter_faas.wire.upstream import AnswerLost, request

PATIENCE_S = 5.0
"""A replica that does not answer for so long is not adopted but ended."""


class Fate(Enum):
    """What becomes of a replica that was found."""

    SERVE = auto()
    """It serves what it should: listen to it and send it calls."""
    SPECIALISE = auto()
    """It was claimed and no more, or is being specialised: say it (again)."""
    STOP = auto()
    """It is of no use to anybody."""


_FATES = {"generic": Fate.SPECIALISE, "loading": Fate.SPECIALISE, "ready": Fate.SERVE}


def fate_of(hello: Hello, replica_id: str, revision_id: str) -> tuple[Fate, str]:
    """Return what to do with a replica, and why.

    Args:
        hello: What it says to who shows its secret; to strangers it names no revision.
        replica_id: Who it should be.
        revision_id: What it should serve.
    """
    if not speaks(hello.protocol):
        return Fate.STOP, f"it speaks protocol {hello.protocol}"
    if hello.state != "generic":
        if not hello.revision_id:
            return Fate.STOP, "it does not know this gateway's secret"
        if (hello.replica, hello.revision_id) != (replica_id, revision_id):
            return Fate.STOP, "it serves something else"
    return _FATES.get(hello.state, Fate.STOP), f"it is {hello.state}"


def seal_of(hello: Hello, claimed: Seal | None) -> Seal | None:
    """Return what to seal to: what the front says now, in the pod that was claimed.

    Its container may have been started anew since the provider looked. A runner that is loading
    says nothing to seal to: what the provider knows still holds then.

    Raises:
        ProviderError: What it says cannot be read.
    """
    if claimed is None or not hello.public_key:
        return claimed
    try:
        key, nonce = base64.b64decode(hello.public_key), base64.b64decode(hello.nonce)
    except binascii.Error as error:
        raise ProviderError("What the runner says of its key cannot be read.") from error
    return Seal(public_key=key, nonce=nonce, pod_uid=claimed.pod_uid)


class Meeting(NamedTuple):
    """What came of meeting a replica."""

    fate: Fate
    why: str
    hello: Hello | None = None
    seal: Seal | None = None
    """What its specialisation is sealed to."""


async def meet(replica: Replica, listen: Callable[[Replica], Awaitable[None]]) -> Meeting:
    """Ask a replica what it is, and begin to listen to one that serves, in `PATIENCE_S`.

    Args:
        replica: Its address, its secret and its claimed seal are known.
        listen: Opens the link to one that serves.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            hello = await _greet(replica)
            fate, why = fate_of(hello, replica.id, replica.entry.revision.id)
            if fate is Fate.SERVE:
                await listen(replica)
            return Meeting(fate, why, hello, seal_of(hello, replica.seal))
    except TimeoutError:
        return Meeting(Fate.STOP, f"it has not answered for {PATIENCE_S:g} s")
    except FaasError as error:
        return Meeting(Fate.STOP, error.detail)


async def _greet(replica: Replica) -> Hello:
    """Return what a front says of itself to its gateway.

    Raises:
        ProviderError: It cannot be reached, or does not answer like a runner.
    """
    upstream = replica.upstream
    assert upstream is not None
    known = ((b"Faas-Secret", replica.secret.encode("ascii")),)
    try:
        answer = await request(upstream, "GET", "/v1/runner", known, timeout_s=PATIENCE_S)
        if answer.status == 200:
            return msgspec.json.decode(answer.body, type=Hello)
    except (AnswerLost, OSError, msgspec.MsgspecError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise ProviderError(f"it cannot be asked: {error}") from error
    raise ProviderError(f"it answers HTTP {answer.status}")
