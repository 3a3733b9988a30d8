"""What the objects of a kept log mean. Pure: no I/O, no clock.

    kept/log/{number}     a segment: what has changed, by statements on a database
    kept/base/{number}    the database as all segments below that number have made it
    kept/bodies/{sha256}  a large value, which a row of the database names

A segment is created, never overwritten, and names the one before it that counts. So two writers
cannot both go on, and one whose segment has arrived though it was told that it has not can take
it back: the next one that it writes follows the one before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

LOG, BASES, BODIES = "kept/log/", "kept/base/", "kept/bodies/"
MOST_SEGMENTS = 500
"""So many are read at a start, at most about: then a snapshot is due."""
LEAST_BYTES = 4 << 20
"""Fewer need no snapshot."""
SPARE_S = 3600.0
"""What is no longer needed stays for so long: who is late still finds its number taken."""
SURE_S = 600.0
"""A writer that has written nothing for so long looks whether another one has."""

Statement = tuple[str, list[list[Any]]]
"""SQL, and the values it is done with, once for each list."""


class Segment(msgspec.Struct, array_like=True, frozen=True):
    """One object of the log."""

    writer: str
    follows: int
    """Number of the last segment before it that counts; 0: none does."""
    schema: int
    """Migrations that the database had had."""
    statements: list[Statement]


class Numbered(NamedTuple):
    """A segment, and its place in the log."""

    number: int
    segment: Segment


class Seen(NamedTuple):
    """An object of the log that is listed."""

    path: str
    number: int
    at: float


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Segment).decode


def path_of(folder: str, number: int) -> str:
    """Return the name of a segment or a snapshot; names are in the order of numbers."""
    return f"{folder}{number:016d}"


def number_of(path: str) -> int:
    """Return the number of a segment or a snapshot; 0: it is neither."""
    last = path.rpartition("/")[2]
    return int(last) if len(last) == 16 and last.isdecimal() else 0


def counts(one: Numbered, following: Numbered | None) -> bool:
    """Return whether a segment was not taken back by the one after it; the last one counts."""
    return following is None or following.segment.follows == one.number


def is_snapshot_due(segments: int, log_bytes: int, base_bytes: int) -> bool:
    """Return whether reading the log at a start would take longer than it should.

    Args:
        segments: How many there are since the last snapshot.
        log_bytes: In them.
        base_bytes: Of that snapshot: writing it is to cost no more than writing the log.
    """
    return segments >= MOST_SEGMENTS or log_bytes >= max(LEAST_BYTES, base_bytes)


def not_needed(seen: Iterable[Seen], newest_base: int, now: float) -> list[str]:
    """Return what of the log, or of the snapshots, a start does not read and nobody is late for.

    Args:
        seen: Segments, or snapshots.
        newest_base: Number of the newest snapshot.
        now: Seconds since the epoch.
    """
    return [one.path for one in seen if 0 < one.number < newest_base and one.at < now - SPARE_S]
