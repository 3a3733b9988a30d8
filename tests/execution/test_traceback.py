"""Tracebacks hold the author's frames, and not more text than anybody reads."""

from __future__ import annotations

from jupyter_faas.core.names import check_name
from jupyter_faas.execution.traceback import MAX_TEXT, one_line, remote_traceback


def test_frames_of_the_platform_are_left_out_also_in_causes() -> None:
    try:
        try:
            check_name("Not A Label")
        except ValueError as error:
            raise KeyError("mine") from error
    except KeyError as error:
        text = remote_traceback(error)
    assert "names.py" not in text
    assert text.count('check_name("Not A Label")') == 1
    assert "direct cause" in text
    assert text.rstrip().endswith("KeyError: 'mine'")


def test_a_long_one_is_cut_in_the_middle() -> None:
    try:
        raise ValueError("x" * 300_000)
    except ValueError as error:
        text = remote_traceback(error)
    assert len(text) < MAX_TEXT + 100
    assert "characters …]" in text


def test_an_exception_that_cannot_be_printed_is_named() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Mute" in one_line(Mute())


def test_a_loop_of_causes_ends() -> None:
    one, two = ValueError("1"), ValueError("2")
    one.__cause__, two.__cause__ = two, one
    assert "ValueError: 1" in remote_traceback(one)
