"""What a connection accepts: nothing read from outside is unbounded."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Limits of one HTTP connection. Times are seconds; `None` means never."""

    head_bytes: int = 64 * 1024
    """Request line and headers together; more is 431."""
    headers: int = 100
    """Number of header lines; more is 431."""
    drain_bytes: int = 64 * 1024
    """Unread body that is read away after an early answer; more, and the connection closes."""
    head_timeout_s: float = 10.0
    """From the first byte of a head to its last (slow loris)."""
    idle_timeout_s: float | None = 75.0
    """A kept-alive connection without a request closes after this, or up to twice this."""
    linger_s: float = 2.0
    """How long a closing connection reads away what is still coming, so that its answer arrives."""
    write_high_bytes: int = 256 * 1024
    """Unsent bytes above which `is_writable` is false."""
    socket_buffer_bytes: int = 1024 * 1024
    """Kernel buffer of Unix sockets, each way."""
