"""The keys of a cluster's gateways: what runners believe, what replicas and functions can show.

All gateways of a cluster hold the same keys (a Secret in the system namespace), so that each can
talk to a replica that another has started. Pure: reading and writing the Secret is done by
`providers/kubernetes/keys.py`. Nothing here is ever in a message, a log or a repr.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.wire import sealing

if TYPE_CHECKING:
    from jupyter_faas.providers.base import Seal

CALL_TOKEN_PREFIX = "faasc."  # noqa: S105 - what such tokens begin with
_KEY_BYTES = 32
_SIGNING, _REPLICAS, _CALLS = "signing.key", "replicas.key", "calls.key"


class Keys:
    """The keys of one installation.

    Args:
        signing: Seed of the Ed25519 key that specialisations are signed with.
        replicas: Key of the secrets of replicas.
        calls: Key of call tokens.
    """

    __slots__ = ("_calls", "_replicas", "_signing", "public_key")

    def __init__(self, signing: bytes, replicas: bytes, calls: bytes) -> None:
        self._signing = signing
        self._replicas = replicas
        self._calls = calls
        self.public_key = sealing.public_key_of(signing)
        """What runners trust: Ed25519, 32 bytes raw."""

    @classmethod
    def make(cls) -> Keys:
        """Return fresh keys."""
        return cls(*(os.urandom(_KEY_BYTES) for _ in range(3)))

    @classmethod
    def read(cls, stored: Mapping[str, bytes]) -> Keys:
        """Return the keys of a Secret.

        Args:
            stored: Name → bytes, as `stored` returns it.

        Raises:
            ProviderError: One is missing or has another length.
        """
        names = (_SIGNING, _REPLICAS, _CALLS)
        if wrong := [name for name in names if len(stored.get(name, b"")) != _KEY_BYTES]:
            raise ProviderError(f"The gateway's Secret has no usable {wrong[0]}: delete it whole.")
        return cls(*(bytes(stored[name]) for name in names))

    def stored(self) -> dict[str, bytes]:
        """Return what a Secret keeps of them."""
        return {_SIGNING: self._signing, _REPLICAS: self._replicas, _CALLS: self._calls}

    def replica_secret(self, replica_id: str) -> str:
        """Return the secret of a replica; the same from every gateway, also after a restart."""
        return hmac.digest(self._replicas, b"replica " + replica_id.encode(), "sha256").hex()

    def call_token(self, namespace: str) -> str:
        """Return the token that may call functions of one namespace, and nothing else."""
        mac = hmac.digest(self._calls, b"calls " + namespace.encode(), "sha256").hex()
        return f"{CALL_TOKEN_PREFIX}{namespace}.{mac}"

    def peer_token(self) -> str:
        """Return what gateways of this installation show one another, and nobody else has."""
        return hmac.digest(self._calls, b"gateways", "sha256").hex()

    def ray_token(self, namespace: str) -> str:
        """Return what the processes of a namespace's Ray show one another."""
        return hmac.digest(self._calls, b"ray " + namespace.encode(), "sha256").hex()

    def ray_host_token(self, namespace: str) -> str:
        """Return what gateways show the host of seats of a namespace's Ray."""
        return hmac.digest(self._calls, b"ray host " + namespace.encode(), "sha256").hex()

    def namespace_of(self, token: bytes) -> str | None:
        """Return the namespace whose functions a call token may call; None: it is forged."""
        namespace = token.decode("latin-1").removeprefix(CALL_TOKEN_PREFIX).rpartition(".")[0]
        right = self.call_token(namespace).encode()
        return namespace if hmac.compare_digest(token, right) else None

    def seal(self, message: bytes, to: Seal) -> bytes:
        """Return a message that opens in one start of one runner only.

        Raises:
            ProviderError: What the runner says it is sealed to is no key.
        """
        try:
            return sealing.seal(
                message,
                self._signing,
                public_key=to.public_key,
                nonce=to.nonce,
                pod_uid=to.pod_uid,
            )
        except sealing.SealBroken as error:
            raise ProviderError(f"The runner's key cannot be used: {error}") from error
