"""Small packages inside a FunctionRevision: compressed, in base64. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib

from jupyter_faas.wire.heads import Buffer

MAX_INLINE_BYTES = 64 * 1024
"""Largest compressed package that lies in an object; etcd refuses requests over 1.5 MiB."""
MAX_UNPACKED_BYTES = 64 << 20
"""Nothing that an object holds may unpack to more: such an object is none of ours."""


def packed(blob: Buffer) -> str | None:
    """Return a package as an object holds it; None: it is too large for that."""
    if len(blob) > MAX_UNPACKED_BYTES:
        return None
    small = zlib.compress(blob, 6)
    return base64.b64encode(small).decode("ascii") if len(small) <= MAX_INLINE_BYTES else None


def unpacked(text: str, digest: str) -> bytes | None:
    """Return the package that an object holds; None: it is not the one with this digest."""
    try:
        reader = zlib.decompressobj()
        blob = reader.decompress(base64.b64decode(text, validate=True), MAX_UNPACKED_BYTES)
    except (binascii.Error, zlib.error, ValueError):
        return None
    return blob if hashlib.sha256(blob).hexdigest() == digest else None
