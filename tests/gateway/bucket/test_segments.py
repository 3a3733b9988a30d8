"""What the objects of a kept log mean."""

from __future__ import annotations

import pytest

from jupyter_faas.gateway.bucket.segments import (
    BASES,
    LEAST_BYTES,
    LOG,
    MOST_SEGMENTS,
    SPARE_S,
    Numbered,
    Seen,
    Segment,
    counts,
    decode,
    encode,
    is_snapshot_due,
    not_needed,
    number_of,
    path_of,
)


def segment(number: int, follows: int) -> Numbered:
    return Numbered(number, Segment("w", follows, 1, []))


def test_names_are_in_the_order_of_numbers_and_tell_them() -> None:
    paths = [path_of(LOG, number) for number in (1, 9, 10, 11, 10**9)]
    assert paths == sorted(paths)
    assert [number_of(path) for path in paths] == [1, 9, 10, 11, 10**9]
    assert [number_of(path) for path in ("kept/log/readme", "kept/log/1", BASES)] == [0, 0, 0]


def test_a_segment_is_what_it_was_when_it_is_read() -> None:
    made = Segment("w", 3, 4, [("UPDATE t SET a = ?", [[b"\0", "text", 1, 2.5, None]])])
    assert decode(encode(made)) == made


def test_what_the_next_one_does_not_follow_was_taken_back() -> None:
    first, failed, third = segment(1, 0), segment(2, 1), segment(3, 1)
    assert not counts(failed, third)
    assert counts(failed, None), "nobody has taken it back yet"
    assert counts(first, failed)


@pytest.mark.parametrize(
    ("segments", "log_bytes", "base_bytes", "is_due"),
    [
        (1, LEAST_BYTES - 1, 0, False),
        (1, LEAST_BYTES, 0, True),
        (1, LEAST_BYTES, LEAST_BYTES * 3, False),
        (1, LEAST_BYTES * 3, LEAST_BYTES * 3, True),
        (MOST_SEGMENTS, 10, LEAST_BYTES * 3, True),
        (0, 0, 0, False),
    ],
)
def test_a_snapshot_is_written_when_reading_the_log_would_take_long(
    segments: int, log_bytes: int, base_bytes: int, is_due: bool
) -> None:
    assert is_snapshot_due(segments, log_bytes, base_bytes) is is_due


def test_only_what_is_old_and_below_the_newest_snapshot_goes() -> None:
    now = SPARE_S * 3
    seen = [
        Seen("old", 3, 0.0),
        Seen("young", 4, now - 1),
        Seen("needed", 5, 0.0),
        Seen("somebody's", 0, 0.0),
    ]
    assert not_needed(seen, 5, now) == ["old"]
