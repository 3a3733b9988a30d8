"""What the items of a kept map have printed, on a real disk."""

from __future__ import annotations

from pathlib import Path

from jupyter_faas.fanout.prints import FULL, Prints
from jupyter_faas.wire.frames import HEADER, STDOUT, FrameKind, encode_header


def put(prints: Prints, index: int, text: bytes) -> None:
    prints.add([encode_header(FrameKind.LOG, len(text), stream=STDOUT, tag=index + 1), text])


def read(prints: Prints, offset: int = 0) -> list[tuple[int, bytes]]:
    return [(one.item, one.frame[HEADER.size :]) for one in prints.since(offset)]


def test_what_is_printed_is_read_in_order_and_from_where_one_was(tmp_path: Path) -> None:
    prints = Prints(tmp_path / "prints")
    put(prints, 3, b"three\n")
    (first,) = prints.since(0)
    put(prints, 0, b"zero\n")
    assert read(prints) == [(3, b"three\n"), (0, b"zero\n")]
    assert read(prints, first.end) == [(0, b"zero\n")]
    prints.close()


def test_it_is_there_after_a_restart_without_what_a_crash_left(tmp_path: Path) -> None:
    path = tmp_path / "prints"
    prints = Prints(path)
    put(prints, 1, b"whole\n")
    prints.close()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-2])
    again = Prints(path)
    assert read(again) == [(1, b"whole\n")]
    put(again, 2, b"more\n")
    assert read(again) == [(1, b"whole\n"), (2, b"more\n")]
    again.close()


def test_beyond_its_bound_it_says_so_once_and_keeps_nothing_more(tmp_path: Path) -> None:
    prints = Prints(tmp_path / "prints", most_bytes=100)
    put(prints, 0, b"x" * 50)
    assert not prints.is_full
    put(prints, 1, b"y" * 50)
    put(prints, 2, b"z")
    assert prints.is_full
    assert read(prints) == [(0, b"x" * 50), (1, FULL)]
    prints.close()
    again = Prints(tmp_path / "prints", most_bytes=100)
    put(again, 3, b"z")
    assert len(read(again)) == 2
    again.close()
