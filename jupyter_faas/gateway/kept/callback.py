"""Tells whoever asked for it how a kept call has ended: one POST of the answer, tried thrice."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

from jupyter_faas.gateway.store.kept_base import KeptAnswer, KeptCall
from jupyter_faas.wire.upstream import AnswerLost, request

TRIES = 3
TIMEOUT_S = 10.0
_PAUSE_S = 1.0
_log = logging.getLogger(__name__)


async def tell(call: KeptCall, answer: KeptAnswer, *, pause_s: float = _PAUSE_S) -> bool:
    """Send an answer to the call's callback address; False: nobody took it."""
    parts = urlsplit(call.callback_url)
    is_tls = parts.scheme == "https"
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    address = f"{host}:{parts.port or (443 if is_tls else 80)}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = [
        *answer.headers,
        (b"Faas-Invocation-Id", call.id.encode()),
        (b"Faas-Status", b"%d" % answer.status),
    ]
    where = f"https://{address}" if is_tls else address
    for tried in range(1, TRIES + 1):
        try:
            said = await request(where, "POST", target, headers, answer.body, timeout_s=TIMEOUT_S)
            if said.status < 500:
                return True
            trouble = f"it answered {said.status}"
        except (OSError, TimeoutError, AnswerLost) as error:
            trouble = str(error) or type(error).__name__
        _log.warning("callback of %s to %s: %s (try %d)", call.id, parts.netloc, trouble, tried)
        if tried < TRIES:
            await asyncio.sleep(pause_s * tried)
    return False
