"""Specialisations that open in one start of one runner only, and only if a gateway made them.

A specialisation carries secrets (`env`, the replica's secret) and *is* code that will run. On a
network that anybody shares it is therefore encrypted to a key that the runner made when it started
(X25519, HKDF-SHA256, ChaCha20-Poly1305) and signed by the gateway (Ed25519) together with the pod's
uid and the runner's nonce: it cannot be read by others, made by others, sent to another pod, nor
sent again to the same pod after a restart. Within one start the runner remembers what it opened.

    "FSL" u8 version · 32 bytes ephemeral X25519 key · 64 bytes signature · ciphertext with its tag

The signature covers everything: version, pod uid, nonce, both keys, ciphertext. The key is derived
from both keys, the nonce and the uid, and is used once, so the cipher's nonce is zero. Called by
`gateway/keys.py` (seal) and `runner/sealed.py` (open). Pure but for the random ephemeral key.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

KEY_BYTES = 32
NONCE_BYTES = 32

_PREFIX = b"FSL\x01"
_SIGNATURE_BYTES = 64
_TAG_BYTES = 16
_LEAST_BYTES = len(_PREFIX) + KEY_BYTES + _SIGNATURE_BYTES + _TAG_BYTES
_ZERO = bytes(12)


class SealBroken(ValueError):
    """What came cannot be opened here; the text says whose fault it may be, and no secret."""


def public_key_of(seed: bytes) -> bytes:
    """Return the 32 bytes by which runners know a gateway whose signing key has this seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def seal(message: bytes, seed: bytes, *, public_key: bytes, nonce: bytes, pod_uid: str) -> bytes:
    """Encrypt and sign a message for one start of one runner.

    Args:
        message: What the runner is told.
        seed: Of the gateway's Ed25519 key, 32 bytes.
        public_key: The runner's X25519 key, raw.
        nonce: The runner's, made when it started.
        pod_uid: Of the pod it says it runs in.

    Raises:
        SealBroken: `public_key` is none.
    """
    ephemeral = X25519PrivateKey.generate()
    ours = ephemeral.public_key().public_bytes_raw()
    context = _context(ours, public_key, nonce, pod_uid)
    cipher = ChaCha20Poly1305(_shared_key(ephemeral, public_key, context))
    ciphertext = cipher.encrypt(_ZERO, message, context)
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(context + ciphertext)
    return b"".join((_PREFIX, ours, signature, ciphertext))


def open_sealed(
    envelope: bytes, own: X25519PrivateKey, *, trusted: bytes, nonce: bytes, pod_uid: str
) -> bytes:
    """Return the message of an envelope that was made for this start of this runner.

    The signature is verified first: nothing that a stranger sent is decrypted.

    Args:
        envelope: What `seal` returned.
        own: The runner's key.
        trusted: The gateway's Ed25519 public key, raw.
        nonce: The runner's own.
        pod_uid: Of the pod it runs in.

    Raises:
        SealBroken: Another's signature, another's pod or start, changed, cut, or another version.
    """
    if not envelope.startswith(_PREFIX) or len(envelope) < _LEAST_BYTES:
        raise SealBroken("This is no sealed specialisation of a version that is known here.")
    rest = memoryview(envelope)[len(_PREFIX) :]
    theirs = bytes(rest[:KEY_BYTES])
    signature = bytes(rest[KEY_BYTES : KEY_BYTES + _SIGNATURE_BYTES])
    ciphertext = bytes(rest[KEY_BYTES + _SIGNATURE_BYTES :])
    context = _context(theirs, own.public_key().public_bytes_raw(), nonce, pod_uid)
    try:
        Ed25519PublicKey.from_public_bytes(trusted).verify(signature, context + ciphertext)
        cipher = ChaCha20Poly1305(_shared_key(own, theirs, context))
        return cipher.decrypt(_ZERO, ciphertext, context)
    except (InvalidSignature, InvalidTag):
        raise SealBroken(
            "The trusted gateway has not made this specialisation for this start of this runner."
        ) from None


def _context(ours: bytes, public_key: bytes, nonce: bytes, pod_uid: str) -> bytes:
    """Return all that binds: every part is of fixed length or hashed, so none runs into another."""
    uid = hashlib.sha256(pod_uid.encode()).digest()
    start = hashlib.sha256(nonce).digest()
    return b"".join((b"jupyter_faas specialisation ", _PREFIX, ours, public_key, start, uid))


def _shared_key(own: X25519PrivateKey, theirs: bytes, context: bytes) -> bytes:
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(theirs))
    except ValueError as error:
        raise SealBroken("This is no public key.") from error
    # HKDF (RFC 5869) for one block of output; written out: the library's costs as much as X25519.
    extracted = hmac.digest(hashlib.sha256(context).digest(), shared, "sha256")
    return hmac.digest(extracted, context + b"\x01", "sha256")
