"""A rehearsal: a worker kept in reserve loads and runs a small package before anybody waits.

A forked process shares its memory with the zygote until it writes, and Python writes to every
object it touches: between LOAD and the first answer some 700 pages are copied, at 2-20 µs each,
which with numpy and pandas in the zygote is half of a cold start. A spare touches them ahead, on a
channel of its own.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from contextlib import closing

from jupyter_faas.core import codec
from jupyter_faas.core.model import Place
from jupyter_faas.core.specialisation import Specialisation
from jupyter_faas.runner.channel import CLOSE, ENCODER, LOAD, CallHead, Channel, join_head
from jupyter_faas.runner.forking import LIBRARY_THREADS
from jupyter_faas.wire.frames import CONTENT_TYPE, Frame, FrameKind, encode, encode_header

_CODE = "def rehearsed(value):\n    return [value]\n"

Become = Callable[[Channel, Frame], Callable[[], int] | None]
"""What a worker does with LOAD: returns what serves the calls, None if loading failed."""


def write_script() -> bytes:
    """Return the frames of a rehearsal: LOAD, two calls, CLOSE. Takes some 50 ms: the imports."""
    from jupyter_faas.core.capture import capture  # noqa: PLC0415 - only here, when there is time

    scope = {"__name__": "__main__"}
    exec(_CODE, scope)  # noqa: S102 - the text above
    package = capture(scope["rehearsed"], name="rehearsed").package
    told = Specialisation(
        function="rehearsed",
        namespace="",
        revision=0,
        revision_id="",
        replica="",
        secret="",
        package_digest=package.digest,
        place=Place(
            interpreter=sys.executable,
            cwd=os.getcwd(),
            sys_path=tuple(sys.path),
            environ={k: v for k, v in os.environ.items() if k not in LIBRARY_THREADS},
        ),
    )
    payload = b"".join(codec.dumps((("x",), {})))
    framed = CallHead("rehearsal", None, True, CONTENT_TYPE, CONTENT_TYPE)
    json = CallHead("rehearsal", None, False, "application/json", "")
    return b"".join(
        (
            _frame(LOAD, ENCODER.encode(told), b"".join(package.parts())),
            _frame(FrameKind.CALL, ENCODER.encode(framed), payload),
            _frame(FrameKind.CALL, ENCODER.encode(json), b'["x"]'),
            encode(Frame(CLOSE)),
        )
    )


def rehearse(script: bytes, become: Become) -> None:
    """Play a script from LOAD to CLOSE; what is answered goes nowhere."""
    front, worker = socket.socketpair()
    with closing(front), closing(worker):
        front.sendall(script)
        channel = Channel(worker)
        load = channel.receive()
        serve = None if load is None else become(channel, load)
        if serve is not None:
            serve()


def _frame(kind: int, head: bytes, payload: bytes) -> bytes:
    prefix, length = join_head(head, len(payload))
    return encode_header(kind, length) + prefix + payload
