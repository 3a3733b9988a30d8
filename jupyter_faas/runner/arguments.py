"""The arguments of a call in the front: taken in, given to the worker, kept to be sent again."""

from __future__ import annotations

from jupyter_faas.runner.channel import ENCODER, HAS_FD, IS_KEPT, CallHead, join_head
from jupyter_faas.runner.intake import Body
from jupyter_faas.runner.worker_link import WorkerLink
from jupyter_faas.wire.frames import FrameKind, encode_header

_CALL = int(FrameKind.CALL)  # an enum member costs a Python call to find


class Arguments:
    """Body of a call.

    Args:
        limit_bytes: How large it may be.
        is_kept: The call may run again.
    """

    def __init__(self, limit_bytes: int, *, is_kept: bool) -> None:
        self.body = Body(limit_bytes)
        self._is_kept = is_kept
        self._payload = b""
        self._memfd_bytes = 0

    @property
    def memfd_bytes(self) -> int:
        """What lies outside anybody's address space, until the call is over."""
        return self._memfd_bytes or (self.body.size if self.body.fd >= 0 else 0)

    def send(self, link: WorkerLink, tag: int, head: CallHead) -> None:
        """Give the call to a worker."""
        told = ENCODER.encode(head)
        if self.body.fd >= 0:
            self._send_memfd(link, tag, told)
            return
        payload = self._payload or self.body.take_bytes()
        if self._is_kept:
            self._payload = payload
        prefix, length = join_head(told, len(payload))
        link.send([encode_header(_CALL, length, tag=tag) + prefix + payload])

    def close(self) -> None:
        """Let go of everything."""
        self.body.close()
        self._payload = b""
        self._memfd_bytes = 0

    def _send_memfd(self, link: WorkerLink, tag: int, told: bytes) -> None:
        self._memfd_bytes = self.body.size
        prefix, length = join_head(told)
        flags = HAS_FD | (IS_KEPT if self._is_kept else 0)
        fd = self.body.share() if self._is_kept else self.body.hand_over()
        link.send([encode_header(_CALL, length, tag=tag, flags=flags) + prefix], (fd,))
