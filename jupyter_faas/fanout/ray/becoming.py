"""A seat's generic replica becomes one of a revision, as a gateway does it with its own replicas.

On this machine its socket is ours alone, and the package is a file that it reads. Where others
could reach it, it is told sealed (wire/sealing.py) by the key that it was opened with, and the
package follows.
"""

from __future__ import annotations

import asyncio
import base64
import mmap

import msgspec

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.core.specialisation import SEALED, Hello, Specialisation
from jupyter_faas.fanout.ray.words import Opened
from jupyter_faas.wire.heads import Buffer
from jupyter_faas.wire.problems import read_problem
from jupyter_faas.wire.upstream import Answer, AnswerLost, Upstream, request

_PLAIN = b"application/vnd.faas.specialisation"
_SLACK_S = 1.0
"""Beyond `startup_timeout_s`, so that the front's own word about it comes first."""

_hello = msgspec.json.Decoder(Hello).decode


class DriverKey:
    """What replicas that others can reach know a driver by.

    Args:
        seed: Of an Ed25519 key, 32 random bytes.
    """

    def __init__(self, seed: bytes) -> None:
        # 40 ms, only where seats are elsewhere.
        from jupyter_faas.wire import sealing  # noqa: PLC0415 - see above

        self._seed = seed
        self._sealing = sealing
        self.public = sealing.public_key_of(seed)

    def seal(self, message: bytes, hello: Hello, replica: str) -> bytes:
        """Return what only this start of this replica opens."""
        return self._sealing.seal(
            message,
            self._seed,
            public_key=base64.b64decode(hello.public_key),
            nonce=base64.b64decode(hello.nonce),
            pod_uid=replica,
        )


async def become(opened: Opened, told: Specialisation, key: DriverKey | None) -> Upstream:
    """Tell a replica that listens what to be; returns when its code is loaded.

    Args:
        opened: Where it is.
        told: Its name and secret are filled in.
        key: It was opened with; None: only where `opened` is a Unix socket.

    Raises:
        FaasError: Why the code cannot be loaded there.
        ProviderError: The replica cannot be reached, or the package not be read.
    """
    upstream = Upstream(opened.address)
    timeout_s = told.startup_timeout_s + _SLACK_S
    try:
        if opened.address.startswith("unix:"):
            headers = [(b"Content-Type", _PLAIN), (b"Faas-Secret", told.secret.encode())]
            body = _body(msgspec.msgpack.encode(told))
        else:
            assert key is not None
            headers = [(b"Content-Type", SEALED.encode())]
            body = await _sealed(upstream, opened, told, key)
        answer = await request(
            upstream, "POST", "/v1/specialise", headers, body, timeout_s=timeout_s
        )
    except (AnswerLost, OSError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
        upstream.close()
        raise ProviderError(f"The replica on Ray could not be specialised: {error}") from error
    _check(answer, upstream)
    return upstream


async def _sealed(
    upstream: Upstream, opened: Opened, told: Specialisation, key: DriverKey
) -> tuple[Buffer, ...]:
    package = await asyncio.to_thread(_mapped, told.package_path)
    place = told.place if opened.is_here else None  # the notebook's directory is not there
    told = msgspec.structs.replace(told, package_path=None, place=place)
    answer = await request(upstream, "GET", "/v1/runner", timeout_s=told.startup_timeout_s)
    _check(answer, upstream)
    return _body(
        key.seal(msgspec.msgpack.encode(told), _hello(answer.body), opened.replica), package
    )


def _body(head: bytes, blob: Buffer = b"") -> tuple[Buffer, ...]:
    return len(head).to_bytes(4, "little"), head, blob


def _mapped(path: str | None) -> Buffer:
    """Return a package, not copied: the driver has no memory for one per seat."""
    if path is None:
        raise OSError("its package is not on this machine")
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _check(answer: Answer, upstream: Upstream) -> None:
    if answer.status != 200:
        upstream.close()
        raise read_problem(answer.status, answer.body)
