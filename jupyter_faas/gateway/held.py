"""A request that waits for its bearer to be judged: its body is held back, then it goes on.

Known tokens never come here. The one task a held request has ends with the verdict; a client that
leaves ends it at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from jupyter_faas.core.errors import FaasError, InternalError
from jupyter_faas.gateway import problems
from jupyter_faas.wire.exchange import Exchange

_log = logging.getLogger(__name__)


class Held:
    """Receives for an exchange until it may go on.

    Args:
        exchange: Nothing of its answer has been sent; whoever takes it in `then` is given what
            has come of its body.
        verdict: Raises `FaasError` for who may not.
        then: Takes the exchange, as if it had just come; what it raises is the answer.
    """

    __slots__ = ("_exchange", "_is_whole", "_pieces", "_task")

    def __init__(
        self, exchange: Exchange, verdict: Awaitable[object], then: Callable[[], object]
    ) -> None:
        self._exchange = exchange
        self._pieces: list[bytes] = []
        self._is_whole = False
        exchange.receiver = self
        if exchange.has_body:
            exchange.pause_body()
        self._task = asyncio.get_running_loop().create_task(self._wait(verdict, then))

    def on_body(self, data: bytes) -> None:
        """What had been read before the pause."""
        self._pieces.append(data)

    def on_body_end(self) -> None:
        """The body is whole already."""
        self._is_whole = True

    def on_gone(self) -> None:
        """Nobody waits any more."""
        self._task.cancel()

    def on_writable(self) -> None:
        """Nothing is written here."""

    async def _wait(self, verdict: Awaitable[object], then: Callable[[], object]) -> None:
        exchange = self._exchange
        try:
            await verdict
            exchange.receiver = None
            if exchange.has_body:
                exchange.resume_body()
            then()
            self._hand_over()
        except FaasError as error:
            self._refuse(error)
        except Exception:
            _log.exception("a request that had waited for its verdict failed")
            self._refuse(InternalError("The gateway has a defect; its log has the details."))

    def _hand_over(self) -> None:
        """Give what came meanwhile to who has taken the exchange."""
        exchange = self._exchange
        for piece in self._pieces:
            if exchange.receiver is not None and not exchange.is_over:
                exchange.receiver.on_body(piece)
        if self._is_whole and exchange.receiver is not None and not exchange.is_over:
            exchange.receiver.on_body_end()

    def _refuse(self, error: FaasError) -> None:
        exchange = self._exchange
        exchange.receiver = None
        if exchange.is_started:
            exchange.abort()
        elif not exchange.is_over:
            exchange.respond(*problems.answer(error))
