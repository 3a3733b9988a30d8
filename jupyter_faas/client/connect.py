"""Which gateway this process uses: `connect()` chooses, `gateway()` tells.

An address given here wins, then `FAAS_GATEWAY_URL` and `faas.toml`, else the embedded gateway,
which is started when it is first needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_faas.client.session import session
from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from jupyter_faas.client.gateway import Gateway
    from jupyter_faas.core.settings import Settings


def connect(
    url: str | None = None, token: str | None = None, namespace: str | None = None
) -> Gateway:
    """Choose the gateway for this process and return it.

    Args:
        url: `http://host:port`, `https://…` or `unix:/path`; None: `FAAS_GATEWAY_URL`, else the
            embedded gateway, which is started.
        token: Bearer token; None: `FAAS_GATEWAY_TOKEN`.
        namespace: Where names are looked up; None: the settings', else the token's own.

    Raises:
        InvalidSpec: The address is none.
        GatewayUnavailable: The embedded gateway could not be started.
    """
    settings = _settings()
    url = url or settings.gateway_url
    space = namespace or (settings.namespace if settings.namespace != DEFAULT_NAMESPACE else "")
    if url:
        chosen = _configured(url, token or settings.gateway_token, space, settings)
    else:
        chosen = _embedded(space, settings)
    with session.lock:
        session.gateway = chosen
    return chosen


def gateway() -> Gateway:
    """Return the gateway of this process; the first use starts the embedded one if none is set.

    Raises:
        GatewayUnavailable: It could not be started.
    """
    if session.gateway is None:
        with session.lock:
            if session.gateway is None:
                return connect()
    return session.gateway


def _configured(url: str, token: str, namespace: str, settings: Settings) -> Gateway:
    # Sockets are for who connects: decorating loads none of this.
    from jupyter_faas.client.gateway import Gateway, Location  # noqa: PLC0415

    if not url.startswith(("http://", "https://", "unix:")):
        raise InvalidSpec(
            f"url={url!r}: allowed is http://host:port, https://host:port or unix:/path."
        )
    location = Location(address=url.rstrip("/"), url=url.rstrip("/"), token=token)
    return Gateway(
        lambda: location, namespace=namespace, connect_timeout_s=settings.connect_timeout_s
    )


def _embedded(namespace: str, settings: Settings) -> Gateway:
    from jupyter_faas.client.embedded import ensure_gateway  # noqa: PLC0415 - see above
    from jupyter_faas.client.gateway import Gateway, Location  # noqa: PLC0415 - see above

    def locate() -> Location:
        found = ensure_gateway(settings)
        return Location(address=found.address, url=found.url, token=found.token)

    return Gateway(
        locate,
        may_start=True,
        namespace=namespace,
        connect_timeout_s=settings.connect_timeout_s,
    )


def _settings() -> Settings:
    from jupyter_faas.client.state_file import load_settings  # noqa: PLC0415 - reads a file

    return load_settings()
