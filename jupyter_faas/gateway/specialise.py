"""Gives a generic runner its code: one request, and what its failure means.

Embedded, the package is a file that front and gateway both see, so only its path travels.
Elsewhere the blob follows in the body. The gateway never looks into it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from jupyter_faas.core.context import REPLICA_VARIABLE
from jupyter_faas.core.errors import ColdStartTimeout, EnvironmentMismatch, ProviderError
from jupyter_faas.core.model import PROTOCOL_VERSION, Revision, speaks
from jupyter_faas.core.specialisation import SEALED, Hello, Specialisation
from jupyter_faas.gateway.replica import Replica
from jupyter_faas.wire.heads import Buffer
from jupyter_faas.wire.problems import read_problem
from jupyter_faas.wire.upstream import AnswerLost, request

if TYPE_CHECKING:
    from jupyter_faas.gateway.keys import Keys

CONTENT_TYPE = b"application/vnd.faas.specialisation"

SLACK_S = 1.0
"""Beyond `startup_timeout_s`, so that the front's own word about it comes first."""


class Surroundings(NamedTuple):
    """What every replica of this gateway is told."""

    gateway_url: str
    """Where nested calls go."""
    call_token: Callable[[str], str]
    """What replicas of a namespace may show there: opens invocation paths only."""
    cancel_grace_s: float = 0.15


class Letter(NamedTuple):
    """A specialisation ready to be sent: to one start of one runner, where it is sealed."""

    function: str
    headers: list[tuple[bytes, bytes]]
    body: tuple[Buffer, ...]
    startup_timeout_s: float


def specialisation(
    replica: Replica, package_path: str | None, surroundings: Surroundings
) -> Specialisation:
    """Return what `replica` is told to become."""
    return told_of(replica.entry.revision, replica.id, replica.secret, package_path, surroundings)


def told_of(
    revision: Revision,
    replica_id: str,
    secret: str,
    package_path: str | None,
    surroundings: Surroundings,
) -> Specialisation:
    """Return what a replica of a revision is told to become."""
    spec = revision.spec
    env = dict(spec.env)
    env[REPLICA_VARIABLE] = replica_id
    env["FAAS_GATEWAY_URL"] = surroundings.gateway_url
    env["FAAS_GATEWAY_TOKEN"] = surroundings.call_token(revision.namespace)
    return Specialisation(
        function=revision.function,
        namespace=revision.namespace,
        revision=revision.number,
        revision_id=revision.id,
        replica=replica_id,
        secret=secret,
        package_digest=spec.code.digest,
        package_path=package_path,
        kind=spec.code.kind,
        max_inputs=spec.max_inputs,
        timeout_s=spec.timeout_s,
        startup_timeout_s=spec.startup_timeout_s,
        grace_s=surroundings.cancel_grace_s,
        memory_mib=spec.resources.memory_mib,
        retries=spec.retries,
        idempotent=spec.idempotent,
        env=env,
        place=spec.place,
    )


async def with_secrets(
    told: Specialisation,
    names: Sequence[str],
    read: Callable[[str, Sequence[str]], Awaitable[dict[str, str]]],
) -> Specialisation:
    """Return `told` with the variables that secrets give; `env=` counts more than they.

    Raises:
        FaasError: A secret is missing, or the function may not use it.
    """
    if not names:
        return told
    values = await read(told.namespace, names)
    return msgspec.structs.replace(told, env={**values, **told.env})


def letter_to(
    replica: Replica, told: Specialisation, blob: Buffer = b"", keys: Keys | None = None
) -> Letter:
    """Return what is sent to a replica.

    Args:
        replica: Its address and seal are known.
        told: See `specialisation`.
        blob: The package, unless `told` names a path.
        keys: Of a cluster's gateways: what leaves this machine is sealed with them.

    Raises:
        ProviderError: Its runner takes nothing sealed.
    """
    headers, head = _head(replica, told, keys)
    body = (len(head).to_bytes(4, "little"), head, blob)
    return Letter(told.function, headers, body, told.startup_timeout_s)


async def specialise(replica: Replica, letter: Letter) -> Hello:
    """Make a replica serve its revision; returns when its code is loaded.

    Args:
        replica: Reachable, generic (or already this).
        letter: Made for it.

    Raises:
        FaasError: What the front said: the package cannot be loaded, or the replica is another's.
        ColdStartTimeout: It took longer than it may, and `SLACK_S`.
        EnvironmentMismatch: The runner speaks another protocol.
        ProviderError: The front cannot be reached or broke off.
    """
    upstream = replica.upstream
    assert upstream is not None
    timeout_s = letter.startup_timeout_s + SLACK_S
    try:
        answer = await request(
            upstream, "POST", "/v1/specialise", letter.headers, letter.body, timeout_s=timeout_s
        )
    except TimeoutError:
        raise ColdStartTimeout(
            f"`{letter.function}` was not loaded within "
            f"startup_timeout={letter.startup_timeout_s:g} s."
        ) from None
    except (AnswerLost, OSError) as error:
        raise ProviderError(f"The replica could not be specialised: {error}") from error
    if answer.status != 200:
        raise read_problem(answer.status, answer.body)
    return _checked(answer.body)


def _head(
    replica: Replica, told: Specialisation, keys: Keys | None
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return headers and head: sealed where others could read them, plain on this machine."""
    packed = msgspec.msgpack.encode(told)
    if replica.seal is not None and keys is not None:
        return [(b"Content-Type", SEALED.encode())], keys.seal(packed, replica.seal)
    if keys is not None and not replica.address.startswith("unix:"):
        raise ProviderError(
            f"The runner at {replica.address} takes nothing sealed (FAAS_TRUST is not set there), "
            "and secrets are not sent in plain: install the pools anew."
        )
    secret = replica.secret.encode("ascii")
    return [(b"Content-Type", CONTENT_TYPE), (b"Faas-Secret", secret)], packed


def _checked(body: bytes) -> Hello:
    try:
        hello = msgspec.json.decode(body, type=Hello)
    except msgspec.MsgspecError as error:
        raise ProviderError(f"The runner's answer cannot be read: {error}") from error
    if not speaks(hello.protocol):
        raise EnvironmentMismatch(
            f"The runner speaks protocol {hello.protocol} (jupyter_faas {hello.version}), the "
            f"gateway {PROTOCOL_VERSION}: install versions that are next to each other."
        )
    return hello
