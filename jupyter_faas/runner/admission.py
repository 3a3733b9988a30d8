"""Who may tell a runner what to become: anybody who reaches it, or only a gateway it trusts.

Embedded, a front listens on a socket that only its user can open, and takes a specialisation in
plain. In a pod anybody on the network may reach it: with `FAAS_TRUST` it takes only what a trusted
gateway has sealed to the key and nonce of this very start (`sealed.py`), each once.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import MutableMapping
from typing import NamedTuple, Protocol

from jupyter_faas.core.errors import Forbidden
from jupyter_faas.core.specialisation import SEALED, Hello

TRUST_VARIABLE = "FAAS_TRUST"
"""The gateway's Ed25519 public key, base64 of 32 bytes."""
POD_VARIABLE = "FAAS_POD_UID"
"""Uid of the pod this runs in (downward API)."""

_KEY_BYTES = 32


class Trust(NamedTuple):
    """Whom a runner trusts, and where it runs."""

    gateway_key: bytes
    pod_uid: str


def take_trust(environ: MutableMapping[str, str]) -> Trust | None:
    """Return whom to trust, and take it out of the environment; None: whoever reaches it.

    Raises:
        ValueError: `FAAS_TRUST` is set and is no key: starting anyway would trust everybody.
    """
    text = environ.pop(TRUST_VARIABLE, None)
    pod_uid = environ.pop(POD_VARIABLE, "")
    if text is None:
        return None
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{TRUST_VARIABLE} must be base64 of an Ed25519 public key of 32 bytes.")
    if not pod_uid:
        raise ValueError(f"{POD_VARIABLE} must be set where {TRUST_VARIABLE} is.")
    return Trust(key, pod_uid)


def trust_in(replica: str, gateway_key: bytes) -> Trust:
    """Return whom a replica of its own trusts, that is in no pool: its name stands for the pod's.

    Called in the process that fronts are forked from, so that what checks is loaded once.
    """
    from jupyter_faas.runner.sealed import rehearse  # noqa: PLC0415 - only where it is needed

    rehearse()
    return Trust(gateway_key, replica)


class Admission(Protocol):
    """Takes what claims to be a specialisation."""

    def open(self, content_type: bytes, head: bytes) -> bytes:
        """Return the specialisation.

        Raises:
            Unauthorized: It must be sealed and is not.
            Forbidden: It is not a trusted gateway's, not for this start, or was here before.
        """

    def introduce(self, hello: Hello) -> Hello:
        """Return what a generic runner says about itself."""


class OpenAdmission:
    """Takes a specialisation from whoever reaches this runner."""

    def open(self, content_type: bytes, head: bytes) -> bytes:
        """Return the head as it came.

        Raises:
            Forbidden: It is sealed: not to this runner, which has no key.
        """
        if content_type == SEALED.encode():
            raise Forbidden("This runner trusts no gateway's key: it takes nothing sealed.")
        return head

    def introduce(self, hello: Hello) -> Hello:
        """Return `hello`: there is nothing to add."""
        return hello


def admission_of(trust: Trust | None) -> Admission:
    """Return how specialisations are taken by a front that has just been forked."""
    if trust is None:
        return OpenAdmission()
    # Imported by `__main__` before the fork; 40 ms that a runner of one's own need not pay.
    from jupyter_faas.runner.sealed import SealedAdmission, rehearse  # noqa: PLC0415 - see above

    rehearse()
    return SealedAdmission(trust)
