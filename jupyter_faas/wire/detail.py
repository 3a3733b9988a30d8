"""What went wrong in a call, in a header: the front tells it to the gateway, which keeps it.

The gateway never reads a body, and what a person asks first of a failed call is why. The header
goes no further than the gateway: the caller has it all in the answer's body.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

NAME = b"Faas-Detail"
MAX_DETAIL = 500
"""Characters of the sentence that are kept."""
MAX_TRACEBACK = 1500
"""Characters of the traceback, from its end: that is where it says where."""
_MAX_BYTES = 8 * 1024
_SAFE = " !#$&'()*+,/:;<=>?@[]^`{|}\""


def line(detail: str, traceback: str = "") -> bytes:
    """Return the header line for a sentence and a traceback; empty if there is nothing to say."""
    value = encoded(detail, traceback)
    return b"%b: %b\r\n" % (NAME, value) if value else b""


def joined(detail: str, traceback: str = "") -> str:
    """Return sentence and traceback as they are kept, bounded."""
    return "\n".join(filter(None, (detail[:MAX_DETAIL], traceback[-MAX_TRACEBACK:])))


def encoded(detail: str, traceback: str = "") -> bytes:
    """Return sentence and traceback as a header's value: printable ASCII, the rest escaped."""
    text = joined(detail, traceback)
    value = quote(text, safe=_SAFE, errors="replace").encode("ascii")
    return value if len(value) <= _MAX_BYTES else encoded(detail)[:_MAX_BYTES]


def read(value: bytes) -> str:
    """Return what a front has said; it may be anything, and is bounded."""
    text = unquote_to_bytes(value[:_MAX_BYTES]).decode("utf-8", "replace")
    return text[: MAX_DETAIL + MAX_TRACEBACK + 1].strip()
