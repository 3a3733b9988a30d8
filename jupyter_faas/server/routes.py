"""What pages can ask, all under `{base_url}jupyter-faas/api/`.

| route | answer |
|---|---|
| `GET status` | `{gateway: GatewayStatus}`; never starts a gateway |
| `POST start` | starts the embedded gateway if it does not run → `GatewayStatus` |
| `GET state` | `{gateway, state}`: as `/v1/state`; of one that sleeps what it stored; or null |
| `ANY v1/…` | the gateway's `/v1/…`; writes start it |
| `POST function/…`, `POST async-function/…` | the same there |
| `WS events` | see below |

Every route needs Jupyter's authentication and asks its authorizer about `jupyter_faas` (read,
write; calls: execute); writes need the XSRF token. Errors are RFC 9457 problem documents.

A page says `{"type": "watch", "calls": [name], "logs": [name], "max_hz": 4}` (the last one counts)
and each 20 s `{"type": "alive"}`, which is answered in the same words: a connection that died with
a network says nothing of itself. It is told, as JSON, in this order at first:

- `{"type": "gateway", "gateway": GatewayStatus}`, again whenever that changes;
- `{"type": "snapshot", "state": {…}}`: forget everything, this is how it is;
- `{"type": "events", "events": [{seq, kind, at, namespace, function, id, value}]}`;
- `{"type": "log", "function": name, "lines": [record]}`: records of
  `/v1/functions/{name}/logs`, at first the last 200.

`GatewayStatus` is `{state, provider, url, version, reason}`; see `status.py`.
"""

from __future__ import annotations

from typing import Any

from jupyter_faas.server.about import StartRoute, StateRoute, StatusRoute
from jupyter_faas.server.proxy import ROOT, ProxyRoute
from jupyter_faas.server.socket import EventsSocket


def routes() -> list[tuple[str, Any]]:
    """Return paths below the server's base URL, and what serves them."""
    return [
        (f"/{ROOT}status", StatusRoute),
        (f"/{ROOT}state", StateRoute),
        (f"/{ROOT}start", StartRoute),
        (f"/{ROOT}events", EventsSocket),
        (f"/{ROOT}(v1/.+)", ProxyRoute),
        (f"/{ROOT}((?:async-)?function/.+)", ProxyRoute),
    ]
