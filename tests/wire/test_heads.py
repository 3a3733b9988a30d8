import pytest

from jupyter_faas.wire.heads import (
    IllegalHeader,
    as_pairs,
    encode_chunk,
    encode_head,
    encode_request,
    end_to_end,
)


def test_a_head_is_its_first_line_and_its_headers():
    assert encode_head(b"HTTP/1.1 200 OK", [(b"A", b"b"), (b"C", b"")]) == (
        b"HTTP/1.1 200 OK\r\nA: b\r\nC: \r\n"
    )


@pytest.mark.parametrize("evil", [b"a\r\nb", b"a\nb", b"a\rb", b"a\0b", b"\r\n"])
def test_no_header_can_begin_a_second_line(evil):
    with pytest.raises(IllegalHeader):
        encode_head(b"HTTP/1.1 200 OK", [(b"A", evil)])
    with pytest.raises(IllegalHeader):
        encode_head(b"HTTP/1.1 200 OK", [(evil, b"a")])
    with pytest.raises(IllegalHeader):
        encode_request(b"GET", b"/" + evil, b"h", [])
    with pytest.raises(IllegalHeader):
        encode_request(b"GET", b"/", evil, [])


def test_line_breaks_that_cancel_out_are_seen():
    """As many CR and LF as there should be, but not where they should be."""
    with pytest.raises(IllegalHeader):
        encode_request(b"GET", b"/ HTTP/1.1\r\nX:", b"h", [])


def test_a_request_target_holds_no_space():
    with pytest.raises(IllegalHeader):
        encode_request(b"GET", b"/a b", b"h", [])


@pytest.mark.parametrize(
    ("method", "length", "line"),
    [
        (b"GET", 0, b""),
        (b"POST", 0, b"Content-Length: 0\r\n"),
        (b"GET", 3, b"Content-Length: 3\r\n"),
        (b"POST", None, b"Transfer-Encoding: chunked\r\n"),
    ],
)
def test_framing_of_a_request(method, length, line):
    head = encode_request(method, b"/p?q", b"h:1", [(b"A", b"b")], length)
    assert head == method + b" /p?q HTTP/1.1\r\nHost: h:1\r\nA: b\r\n" + line + b"\r\n"


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_a_chunk(data):
    assert encode_chunk(data) == b"3\r\nabc\r\n"


def test_hop_by_hop_headers_and_those_they_name_end_here():
    headers = [
        (b"connection", b"keep-alive, X-Secret"),
        (b"x-secret", b"1"),
        (b"te", b"trailers"),
        (b"upgrade", b"websocket"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"3"),
        (b"accept", b"*/*"),
    ]
    assert end_to_end(headers) == [(b"accept", b"*/*")]


def test_headers_as_text():
    assert as_pairs({"A": "é"}) == [(b"A", b"\xe9")]
    pairs = [(b"a", b"b")]
    assert as_pairs(pairs) is pairs
