"""Payloads that came as a descriptor: mapped, never copied."""

from __future__ import annotations

import mmap
import os

from jupyter_faas.runner.channel import HAS_FD, IS_KEPT, Channel, split_head
from jupyter_faas.wire.frames import Frame


def open_body(channel: Channel, frame: Frame) -> tuple[memoryview, memoryview]:
    """Return head and payload of a CALL or LOAD frame.

    A memfd of the front's is mapped shared: it belongs to this call alone, arrays may be used and
    changed in place, and the mapping does not count against RLIMIT_DATA. What the front keeps is
    mapped copy-on-write.
    """
    head, payload = split_head(frame.body)
    if not frame.flags & HAS_FD:
        return head, payload
    fd = channel.take_fd()
    try:
        return head, map_file(fd, is_shared=not frame.flags & IS_KEPT)
    finally:
        os.close(fd)


def map_file(fd: int, *, is_shared: bool) -> memoryview:
    """Return a writable view on all of a file; it lives as long as somebody refers to it."""
    size = os.fstat(fd).st_size
    if size == 0:
        return memoryview(b"")
    flags = mmap.MAP_SHARED if is_shared else mmap.MAP_PRIVATE
    return memoryview(mmap.mmap(fd, size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE))
