"""What the zygote tells its provider: each event arrives, in order, however slowly it is read.

A lost `started` or `gone` would leave a replica hanging until a time-out. The zygote itself never
waits: what the socket does not take now follows when it does.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import Any

import msgspec

from jupyter_faas.runner.poller import Poller


class Outbox:
    """Sends events over the control socket.

    Args:
        control: To the provider (SOCK_SEQPACKET, not blocking); None in a pod: nobody is told.
        poller: Watches `control`; says when it takes more.
    """

    def __init__(self, control: socket.socket | None, poller: Poller) -> None:
        self._control = control
        self._poller = poller
        self._unsent: deque[bytes] = deque()

    def tell(self, event: dict[str, Any]) -> None:
        """Send an event now, or after those that wait."""
        if self._control is None:
            return
        self._unsent.append(msgspec.msgpack.encode(event))
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._unsent:
            if not self._is_done_with(self._unsent[0]):
                assert self._control is not None
                self._poller.when_writable(self._control.fileno(), self._flush)
                return
            self._unsent.popleft()

    def _is_done_with(self, message: bytes) -> bool:
        """Send a message; False: the socket is full."""
        assert self._control is not None
        try:
            self._control.send(message)
        except BlockingIOError:
            return False
        except OSError:
            pass  # the provider is gone: hearing that ends the zygote
        return True
