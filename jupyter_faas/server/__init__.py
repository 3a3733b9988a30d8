"""What the Jupyter server runs for pages: a way to the gateway that keeps its token here.

Jupyter loads it by `jupyter_server_config.d/jupyter_faas.json`. It knows the gateway over HTTP
only, looks for one without starting it, and starts the embedded one when a page wants to change
something. Routes and messages: `routes.py`.
"""

from __future__ import annotations

from typing import Any

from jupyter_faas.core.version import VERSION

__version__ = VERSION


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter what to load."""
    from jupyter_faas.server.extension import FaasExtension  # noqa: PLC0415 - tornado: only there

    return [{"module": "jupyter_faas.server", "app": FaasExtension}]
