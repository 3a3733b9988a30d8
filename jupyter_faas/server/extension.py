"""The extension as Jupyter loads it: routes, and one hub that ends with the server."""

from __future__ import annotations

from jupyter_server.extension.application import ExtensionApp

from jupyter_faas.server.base import RESOURCE
from jupyter_faas.server.hub import Hub
from jupyter_faas.server.place import Place
from jupyter_faas.server.routes import routes


class FaasExtension(ExtensionApp):
    """Serverless functions for the pages of this Jupyter server."""

    name = "jupyter_faas"
    load_other_extensions = True

    def initialize_settings(self) -> None:
        """Make the hub; it asks nothing before a page does."""
        self.settings[RESOURCE] = Hub(Place())

    def initialize_handlers(self) -> None:
        """Add the routes."""
        self.handlers.extend(routes())

    async def stop_extension(self) -> None:
        """End what follows the gateway; the gateway goes on."""
        await self.settings[RESOURCE].close()
