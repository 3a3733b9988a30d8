"""What went wrong, in a header and back."""

from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.wire import detail


@given(st.text(max_size=3000), st.text(max_size=9000))
def test_whatever_is_said_is_one_line_of_printable_ascii_and_bounded(why: str, where: str) -> None:
    value = detail.encoded(why, where)
    assert len(value) <= 8 * 1024
    assert all(0x20 <= byte < 0x7F for byte in value)
    assert len(detail.read(value)) <= detail.MAX_DETAIL + detail.MAX_TRACEBACK + 1


def test_a_sentence_and_the_end_of_a_traceback_come_back() -> None:
    where = "x" * 5000 + '\n  File "zelle", line 3, in score\nValueError: leer – 100 %'
    said = detail.read(detail.encoded("ValueError: leer – 100 %", where))
    first, *rest = said.split("\n")
    assert first == "ValueError: leer – 100 %"
    assert rest[-2:] == ['  File "zelle", line 3, in score', "ValueError: leer – 100 %"]


def test_nothing_to_say_is_no_line() -> None:
    assert detail.line("") == b""
    assert detail.line("no") == b"Faas-Detail: no\r\n"


@given(st.binary(max_size=20_000))
def test_a_front_may_say_anything(value: bytes) -> None:
    assert len(detail.read(value)) <= detail.MAX_DETAIL + detail.MAX_TRACEBACK + 1
