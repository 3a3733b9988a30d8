from __future__ import annotations

import pytest

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway import heads


def test_only_what_a_front_reads_is_forwarded():
    told = {b"content-type": b"a/b", b"authorization": b"Bearer x", b"x": b"1", b"accept": b"*/*"}
    assert heads.forwarded(told) == b"Content-Type: a/b\r\nAccept: */*\r\n"


@pytest.mark.parametrize("text", [b"", b"-1", b"1.5", b"1e3", b"x", b"9" * 19, "٣".encode()])
def test_a_deadline_is_a_whole_number(text):
    with pytest.raises(BadRequest):
        heads.deadline_ms(text)


@pytest.mark.parametrize(("text", "ms"), [(b"0", 0), (b" 17 ", 17), (b"9" * 18, 604_800_000)])
def test_a_deadline_is_at_most_a_week(text, ms):
    assert heads.deadline_ms(text) == ms


@pytest.mark.parametrize("text", [b"", b"a b", b"-a", b"a" * 65, b"a\xff", b"a/b"])
def test_an_id_that_could_break_something_is_refused(text):
    with pytest.raises(BadRequest):
        heads.invocation_id(text)


@pytest.mark.parametrize("text", [b"", b"x", b"-1", b"1" * 10])
def test_a_revision_is_named_by_number(text):
    with pytest.raises(BadRequest):
        heads.revision_number(text)


def test_an_answer_is_sorted_into_what_is_meant_for_whom():
    answer = heads.read_answer(
        [
            (b"content-type", b"text/plain"),
            (b"content-length", b"4"),
            (b"faas-run-ms", b"1.25"),
            (b"faas-fault", b"user"),
            (b"faas-code", b"timeout"),
            (b"faas-running", b"1"),
            (b"connection", b"keep-alive, X-Hop"),
            (b"x-hop", b"1"),
            (b"x-end", b"2"),
        ]
    )
    assert answer.lines == b"content-type: text/plain\r\nx-end: 2\r\n"
    assert (answer.run_ms, answer.fault, answer.code) == (1.25, "user", "timeout")
    assert answer.is_running
    assert not answer.is_busy


@pytest.mark.parametrize("value", [b"x", b"-1", b"nan", b"inf", b"1e13", b""])
def test_a_run_time_that_cannot_be_is_not_said(value):
    assert heads.read_answer([(b"faas-run-ms", value)]).run_ms == -1.0


def test_headers_of_an_answer_are_bounded():
    many = [(b"x-%d" % number, b"y") for number in range(200)]
    assert heads.read_answer(many).lines.count(b"\r\n") == heads.MAX_ANSWER_HEADERS
    large = [(b"a", b"1"), (b"b", b"x" * 20_000), (b"c", b"2")]
    assert heads.read_answer(large).lines == b"a: 1\r\n"
