"""Routes about the gateway itself: how it is, what there is, start it."""

from __future__ import annotations

import msgspec

from jupyter_faas.server.base import Route, hub_of


class StatusRoute(Route):
    """`GET status`: how the gateway is. Never starts one."""

    async def get(self) -> None:
        """Answer `{gateway}`."""
        status, _ = await hub_of(self).look()
        self.answer({"gateway": status})


class StateRoute(Route):
    """`GET state`: how the gateway is, and what there is, stored or live."""

    async def get(self) -> None:
        """Answer `{gateway, state}`."""
        status, state = await hub_of(self).look()
        self.answer({"gateway": status, "state": msgspec.Raw(state or b"null")})


class StartRoute(Route):
    """`POST start`: have a gateway; an embedded one is started if it does not run."""

    async def post(self) -> None:
        """Answer a GatewayStatus, or why there is none."""
        self.answer(await hub_of(self).start())
