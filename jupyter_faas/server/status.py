"""How the gateway is, as pages show it."""

from __future__ import annotations

from typing import Literal

import msgspec

from jupyter_faas.client.state_file import GatewayState
from jupyter_faas.server.event import Snapshot

NONE = "None running: it starts with the first call."
ASLEEP = "Nobody used it for a while: it starts with the next call."
ENDED = "It ended without a word: it starts with the next call, and what is deployed is there."
RESTARTING = "The gateway does not answer any more: waiting for it."


class GatewayStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the gateway now."""

    state: Literal["live", "connecting", "reconnecting", "asleep", "none"]
    """`asleep`: the embedded one has ended, what it stored is shown; `none`: never was one."""
    provider: str = ""
    """`local` or `kubernetes`; empty: not known yet."""
    url: str = ""
    version: str = ""
    reason: str = ""
    """A sentence, or empty."""


def live(snapshot: Snapshot, url: str) -> GatewayStatus:
    """Return the status of a gateway that has just told its state."""
    return GatewayStatus(
        state="live", provider=snapshot.provider, url=url, version=snapshot.version
    )


def asleep(last: GatewayState, reason: str = "") -> GatewayStatus:
    """Return the status of an embedded gateway that does not run; `last` is what it has left."""
    return GatewayStatus(
        state="asleep",
        provider=last.provider,
        url=last.url,
        version=last.version,
        reason=reason or (ENDED if last.pid else ASLEEP),
    )
