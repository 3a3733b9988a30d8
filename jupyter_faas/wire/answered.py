"""Answers that come from a task: one that fails is an answer too.

For what an app raises at once the server answers. What a task of the app raises later would reach
nobody, and the client would wait for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from jupyter_faas.core.errors import FaasError, InternalError
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.problems import problem_answer

_log = logging.getLogger(__name__)


async def answered(exchange: Exchange, work: Callable[[], Awaitable[None]]) -> None:
    """Have `work` answer; what it raises is the answer.

    Args:
        exchange: Owed an answer.
        work: Answers it. A `FaasError` is told as it is, anything else as a defect, which the log
            describes; an answer that has been started is cut.
    """
    try:
        await work()
    except FaasError as error:
        _refuse(exchange, error)
    except Exception:
        _log.exception("the app failed on %r %r", exchange.method, exchange.path)
        _refuse(exchange, InternalError("The server failed; its log says how."))


def _refuse(exchange: Exchange, error: FaasError) -> None:
    exchange.receiver = None
    if exchange.is_over:
        return
    if exchange.is_started:
        exchange.abort()
    else:
        exchange.respond(*problem_answer(error))
