import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.wire.answers import BadAnswer, ChunkedDecoder, parse_answer_head


def test_a_head():
    head = parse_answer_head(b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\na:  c\t")
    assert head.status == 200
    assert head.headers == {"a": "b, c", "content-length": "3"}
    assert (head.content_length, head.is_kept) == (3, True)


@pytest.mark.parametrize(
    ("raw", "length", "is_kept"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", None, True),
        (b"HTTP/1.1 200\r\nContent-Length: 0", 0, True),
        (b"HTTP/1.1 200 \r\nContent-Length: 0\r\nConnection: Close", 0, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0", 0, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive", 0, True),
        (b"HTTP/1.1 204 No Content", 0, True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9", 0, True),
        (b"HTTP/1.1 100 Continue", 0, True),
    ],
)
def test_framing(raw, length, is_kept):
    head = parse_answer_head(raw)
    assert (head.content_length, head.is_kept) == (length, is_kept)


def test_the_answer_to_head_has_no_body():
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 9"
    assert parse_answer_head(raw, is_head_request=True).content_length == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH_9",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0",
        b"HTTP/1.2 200 OK\r\nContent-Length: 0",
        b"HTTP/1.1 20 OK\r\nContent-Length: 0",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0",
        b"HTTP/1.1 20\xb2 OK\r\nContent-Length: 0",
        b"HTTP/1.1  200 OK\r\nContent-Length: 0",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length : 1",
        b"HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 1",
        b"HTTP/1.1 200 OK\r\nX\r\nContent-Length: 1",
        b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 1\r\nContent-Length: 1",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n X: folded",
    ],
)
def test_what_is_no_answer(raw):
    with pytest.raises(BadAnswer):
        parse_answer_head(raw)


def feed_all(decoder, raw, cuts):
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    pieces = []
    for a, b in zip(places, places[1:]):  # noqa: B905, RUF007
        pieces += decoder.feed(raw[a:b])
    return pieces


@given(
    st.lists(st.binary(min_size=1, max_size=30), max_size=5),
    st.sampled_from([b"", b";x=y", b" ;x", b"  "]),
    st.sampled_from([b"", b"Trailer: x\r\n"]),
    st.binary(max_size=5),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_any_cut_gives_the_same_body(chunks, extension, trailer, rest, cuts):
    raw = b"".join(b"%X%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    raw += b"0\r\n" + trailer + b"\r\n"
    decoder = ChunkedDecoder()
    pieces = feed_all(decoder, raw, cuts)
    assert b"".join(pieces) == b"".join(chunks)
    assert all(pieces)
    assert decoder.is_complete
    decoder = ChunkedDecoder()
    feed_all(decoder, raw + rest, cuts)
    assert decoder.rest == rest


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=3), st.data())
def test_a_cut_body_is_not_complete(chunks, data):
    raw = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    decoder = ChunkedDecoder()
    decoder.feed(raw[: data.draw(st.integers(0, len(raw) - 1))])
    assert not decoder.is_complete


@pytest.mark.parametrize(
    "raw",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"+1\r\na",
        b"0x1\r\na",
        b"1_0\r\n",
        b"1\r\nab\r\n",
        b"1\r\naXX",
        b"11111111111111111\r\n",
        b"1" * 5000,
        b"0\r\n" + b"T" * 5000,
        "١\r\n".encode(),
    ],
)
def test_broken_chunks(raw):
    with pytest.raises(BadAnswer):
        ChunkedDecoder().feed(raw)
    with pytest.raises(BadAnswer):
        feed_all(ChunkedDecoder(), raw, range(len(raw)))
