"""The server side on a transport without a socket: framing, turns, keep-alive, early answers."""

import json

import pytest

from jupyter_faas.wire.exchange import IllegalStep
from jupyter_faas.wire.heads import IllegalHeader
from jupyter_faas.wire.server import Limits
from tests.wire.fakes import Recorder, Recording, connect, until

HOST = b"Host: a\r\n"
GET = b"GET /x?y HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /p HTTP/1.1\r\n" + HOST
CLOSE = b"Connection: close\r\n"


def post(body: bytes, more: bytes = b"") -> bytes:
    return POST + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*pieces: bytes) -> bytes:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


# -- requests


async def test_the_head_is_given_before_the_body():
    app = Recording()
    protocol, _ = connect(app)
    protocol.data_received(POST + b"X-A:  b \r\nContent-Length: 3\r\n\r\n")
    (exchange,) = app.seen
    assert (exchange.method, exchange.target, exchange.path) == (b"POST", b"/p", b"/p")
    assert (exchange.content_length, exchange.has_body, exchange.is_chunked) == (3, True, False)
    assert exchange.header(b"x-a") == b"b"
    assert exchange.header(b"nope") is None
    assert exchange.header(b"nope", b"d") == b"d"
    assert app.events == []
    protocol.data_received(b"abc")
    assert app.events == [(b"POST", b"/p", b"abc")]


async def test_path_and_query_are_left_raw():
    app = Recording()
    protocol, _ = connect(app)
    protocol.data_received(b"GET http://h/a%2f?b=%20 HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (app.seen[0].path, app.seen[0].query) == (b"/a%2f", b"b=%20")


async def test_a_request_without_a_body_has_an_end_too():
    app = Recording()
    protocol, _ = connect(app)
    protocol.data_received(GET)
    assert not app.seen[0].has_body
    assert app.events == [(b"GET", b"/x?y", b"")]


async def test_trailers_are_dropped():
    app = Recording()
    protocol, _ = connect(app)
    protocol.data_received(
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nEvil: 1\r\n\r\n" + GET
    )
    assert app.events[0] == (b"POST", b"/p", b"a")
    assert app.seen[0].header(b"evil") is None
    app.seen[0].respond(200)
    assert app.seen[1].headers == [(b"host", b"a")]


@pytest.mark.parametrize("start", [b"1\r\na\r\n0\r\nEvil: ", b"1;evil="])
async def test_trailers_and_chunk_extensions_are_bounded(start):
    app = Recording()
    protocol, transport = connect(app, limits=Limits(head_bytes=1000))
    protocol.data_received(POST + b"Transfer-Encoding: chunked\r\n\r\n" + start)
    for _ in range(12):
        protocol.data_received(b"x" * 100)
    assert b" 431 " in transport.take()
    assert app.seen[0].is_over


async def test_a_small_chunk_may_come_in_pieces_for_ever():
    app = Recording()
    protocol, _ = connect(app, limits=Limits(head_bytes=100))
    protocol.data_received(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    for piece in [b"1", b"\r\n", b"a", b"\r\n"] * 100 + [b"0\r\n\r\n"]:
        protocol.data_received(piece)
    assert app.events == [(b"POST", b"/p", b"a" * 100)]


async def test_an_offer_to_upgrade_is_declined_by_answering():
    app = Recording(answers=True)
    protocol, transport = connect(app)
    offer = b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    protocol.data_received(b"GET /u HTTP/1.1\r\n" + HOST + offer + GET)
    assert [event[1] for event in app.events] == [b"/u", b"/x?y"]
    assert transport.take().count(b"200 OK") == 2


@pytest.mark.parametrize("step", [10_000, 1])
async def test_the_body_of_an_offer_to_upgrade_is_its_own(step):
    app = Recording(answers=True)
    protocol, transport = connect(app)
    raw = post(GET, b"Connection: upgrade\r\nUpgrade: h2c\r\n") + GET
    for start in range(0, len(raw), step):
        protocol.data_received(raw[start : start + step])
    assert app.events == [(b"POST", b"/p", GET), (b"GET", b"/x?y", b"")]
    assert transport.take().count(b"200 OK") == 2


# -- refusals: no two readers of these bytes may see different requests (RFC 9112 section 11.2)

TE = b"Transfer-Encoding: chunked\r\n"
SMUGGLED = {
    "length and chunks": (POST + b"Content-Length: 3\r\n" + TE + b"\r\n0\r\n\r\n", 400),
    "chunks and length": (POST + TE + b"Content-Length: 3\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "the same length twice": (POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
    "a list of lengths": (POST + b"Content-Length: 1, 1\r\n\r\na", 400),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n", 400),
    "a length with a plus": (POST + b"Content-Length: +1\r\n\r\na", 400),
    "a length in hexadecimal": (POST + b"Content-Length: 0x1\r\n\r\na", 400),
    "a huge length": (POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    "an empty length": (POST + b"Content-Length: \r\n\r\n", 400),
    "another coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n", 501),
    "identity": (POST + b"Transfer-Encoding: identity\r\n\r\n", 501),
    "a coding before chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "chunked before a coding": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n", 400),
    "chunked twice": (POST + TE + TE + b"\r\n0\r\n\r\n", 400),
    "a vertical tab": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
    "chunks and an offer to upgrade": (
        POST + b"Connection: upgrade\r\nUpgrade: h2c\r\n" + TE + b"\r\n0\r\n\r\n",
        501,
    ),
    "chunks on 1.0": (b"POST / HTTP/1.0\r\n" + TE + b"\r\n0\r\n\r\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\nX: a\r\n b: c\r\n" + HOST + b"\r\n", 400),
    "a space before the first header": (b"GET / HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n", 400),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "one bare line feed": (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    "a bare carriage return": (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
    "NUL in a name": (b"GET / HTTP/1.1\r\nX\0: b\r\n" + HOST + b"\r\n", 400),
    "NUL in a value": (b"GET / HTTP/1.1\r\nX: b\0\r\n" + HOST + b"\r\n", 400),
    "a space before the colon": (POST + b"Content-Length : 3\r\n\r\nabc", 400),
    "no name": (b"GET / HTTP/1.1\r\n: b\r\n" + HOST + b"\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    "a fragment": (b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "CONNECT": (b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "an unknown method": (b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 501),
}


@pytest.mark.parametrize("name", SMUGGLED)
@pytest.mark.parametrize("step", [10_000, 1])
async def test_ambiguous_requests_are_refused_and_the_connection_closes(name, step):
    raw, status = SMUGGLED[name]
    app = Recording(answers=True)
    protocol, transport = connect(app)
    raw += GET  # the smuggled one
    for start in range(0, len(raw), step):
        protocol.data_received(raw[start : start + step])
    head, _, body = transport.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    assert b"Connection: close" in head
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (status, "bad_request")
    assert app.events == []
    assert transport.has_eof or transport.is_closed


BROKEN_CHUNKS = [
    b"-1\r\na\r\n",
    b"0x1\r\na\r\n",
    b"1 \r\na\r\n",
    b"1\na\n0\n\n",
    b"1\r\naX\r\n0\r\n\r\n",
    b"\r\na\r\n",
    b"ffffffffffffffffff\r\na",
    b"g\r\n",
]


@pytest.mark.parametrize("chunks", BROKEN_CHUNKS)
async def test_broken_chunks_end_the_exchange(chunks):
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(POST + TE + b"\r\n" + chunks + GET)
    assert app.events == ["gone"]
    assert transport.take().startswith(b"HTTP/1.1 400 ")
    assert len(app.seen) == 1


async def test_broken_chunks_cut_an_answer_that_has_begun():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(POST + TE + b"\r\n")
    app.seen[0].start(200)
    protocol.data_received(b"nonsense\r\n")
    assert app.events == ["gone"]
    assert transport.is_aborted
    assert b"400" not in transport.take()


@pytest.mark.parametrize("step", [10_000_000, 40_000, 1000])
async def test_a_head_that_is_too_large_is_431(step):
    app = Recording()
    protocol, transport = connect(app)
    raw = b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 70_000 + b"\r\n\r\n"
    for start in range(0, len(raw), step):
        protocol.data_received(raw[start : start + step])
    assert transport.take().startswith(b"HTTP/1.1 431 ")
    assert app.seen == []


async def test_too_many_headers_are_431():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 100 + b"\r\n")
    assert transport.take().startswith(b"HTTP/1.1 431 ")


async def test_a_long_target_is_431():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert transport.take().startswith(b"HTTP/1.1 431 ")


async def test_a_large_body_does_not_count_for_the_head_that_follows_in_its_packet():
    app = Recording(answers=True)
    protocol, transport = connect(app)
    raw = post(b"b" * 100_000) + GET
    protocol.data_received(raw[:-5])
    protocol.data_received(raw[-5:])
    assert transport.take().count(b"200 OK") == 2


# -- answers


async def test_a_whole_answer_is_one_write():
    app = Recording(answers=True)
    protocol, transport = connect(app)
    protocol.data_received(post(b"abc"))
    assert transport.take() == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n3"
    assert transport.writes == 1
    assert not transport.is_closed


async def test_a_streamed_answer_is_chunked():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET)
    (exchange,) = app.seen
    exchange.start(200, [(b"A", b"b")])
    assert transport.take() == b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"
    exchange.write(b"abc")
    exchange.write(b"")
    exchange.write(memoryview(b"x" * 100_000))
    exchange.finish()
    large = b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
    assert transport.take() == b"3\r\nabc\r\n" + large + b"0\r\n\r\n"
    assert exchange.is_over


def joining():
    """Begin an answer whose pieces are joined."""
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET)
    (exchange,) = app.seen
    exchange.join_pieces()
    exchange.start(200)
    return exchange, protocol, transport


async def test_joined_pieces_of_one_round_of_the_loop_are_one_write():
    exchange, _, transport = joining()
    exchange.write(b"abc")
    exchange.write(b"de")
    assert transport.writes == 0
    await until(lambda: transport.writes == 1)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert transport.take() == head + b"3\r\nabc\r\n2\r\nde\r\n"
    exchange.write(b"f")
    exchange.finish()
    assert (transport.writes, transport.take()) == (2, b"1\r\nf\r\n0\r\n\r\n")


async def test_joined_pieces_are_not_held_when_they_are_many():
    exchange, _, transport = joining()
    exchange.write(b"x" * 40_000)
    assert transport.writes == 0
    exchange.write(b"y" * 40_000)
    assert transport.writes == 1
    assert transport.take().endswith(b"y\r\n")


@pytest.mark.parametrize("leaves", [False, True])
async def test_of_joined_pieces_a_cut_answer_sends_what_was_written(leaves):
    exchange, protocol, transport = joining()
    exchange.write(b"abc")
    if leaves:
        protocol.connection_lost(None)
    else:
        exchange.abort()
        assert transport.is_aborted
    assert transport.take().endswith(b"3\r\nabc\r\n") is not leaves


async def test_an_answer_of_known_length():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET)
    app.seen[0].start(200, content_length=4)
    app.seen[0].write(b"ab")
    app.seen[0].write(bytearray(b"cd"))
    app.seen[0].finish()
    assert transport.take() == b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd"


async def test_an_answer_with_bytes_missing_is_cut():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET)
    app.seen[0].start(200, content_length=4)
    app.seen[0].write(b"ab")
    app.seen[0].finish()
    assert transport.is_aborted


async def test_an_answer_with_too_many_bytes_is_cut():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET)
    app.seen[0].start(200, content_length=1)
    with pytest.raises(IllegalStep):
        app.seen[0].write(b"ab")
    assert transport.is_aborted
    assert not transport.take().endswith(b"ab")


async def test_an_aborted_answer_has_no_terminator_and_the_app_is_not_told():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET)
    app.seen[0].start(200)
    app.seen[0].write(b"abc")
    app.seen[0].abort()
    protocol.connection_lost(None)
    assert transport.is_aborted
    assert transport.take().endswith(b"3\r\nabc\r\n")
    assert app.events == [(b"GET", b"/x?y", b"")]


async def test_a_ready_made_head():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET + GET)
    app.seen[0].respond_raw(b"HTTP/1.1 200 OK\r\nA: b\r\n", b"xy")
    assert transport.take() == b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nxy"
    app.seen[1].raw_start(b"HTTP/1.1 200 OK\r\nA: b\r\n", 2)
    assert transport.take() == b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize("status", [204, 304])
async def test_statuses_without_a_body(status):
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET + GET + GET)
    app.seen[0].respond(status, [], b"ignored")
    assert transport.take().split(b"\r\n", 1)[1] == b"\r\n"
    app.seen[1].start(status)
    app.seen[1].finish()
    assert transport.take().split(b"\r\n", 1)[1] == b"\r\n"
    assert len(app.seen) == 3


async def test_head_has_the_length_and_no_body():
    app = Recording()
    protocol, transport = connect(app)
    head = GET.replace(b"GET", b"HEAD")
    protocol.data_received(head + head + GET)
    app.seen[0].respond(200, [], b"abc")
    assert transport.take() == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
    app.seen[1].start(200)
    app.seen[1].write(b"abc")
    app.seen[1].finish()
    assert transport.take() == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    app.seen[2].respond(200, [], b"abc")
    assert transport.take().endswith(b"abc")


@pytest.mark.parametrize(
    ("line", "more", "answer", "is_closed"),
    [
        (b"1.1", b"", b"", False),
        (b"1.1", CLOSE, CLOSE, True),
        (b"1.0", b"", CLOSE, True),
        (b"1.0", b"Connection: keep-alive\r\n", b"Connection: keep-alive\r\n", False),
        (b"1.1", b"Connection: keep-alive\r\n", b"", False),
        (b"1.1", b"Connection: foo, Close\r\n", CLOSE, True),
    ],
)
async def test_keep_alive(line, more, answer, is_closed):
    app = Recording(answers=True)
    protocol, transport = connect(app)
    protocol.data_received(b"GET / HTTP/" + line + b"\r\n" + HOST + more + b"\r\n")
    assert transport.take() == b"HTTP/1.1 200 OK\r\n" + answer + b"Content-Length: 1\r\n\r\n0"
    assert transport.is_closed == is_closed


async def test_a_stream_to_http_1_0_ends_with_the_connection():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    app.seen[0].start(200)
    app.seen[0].write(b"abc")
    app.seen[0].finish()
    assert transport.take() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"
    assert transport.is_closed


async def test_nothing_follows_a_last_request():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n" + GET)
    protocol.data_received(GET)
    assert len(app.seen) == 1
    app.seen[0].respond(200)
    assert transport.take().count(b"HTTP/1.1") == 1
    assert transport.is_closed


@pytest.mark.parametrize("evil", [b"a\r\nSet-Cookie: b", b"a\n", b"a\r", b"a\0"])
async def test_answers_cannot_be_split(evil):
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET)
    for step in (app.seen[0].respond, app.seen[0].start):
        with pytest.raises(IllegalHeader):
            step(200, [(b"X", evil)])
    assert transport.take() == b""
    app.seen[0].respond(200)  # the mistake can still be answered


@pytest.mark.parametrize(
    "steps",
    [
        ["respond", "respond"],
        ["respond", "start"],
        ["respond", "finish"],
        ["start", "respond"],
        ["start", "start"],
        ["write"],
        ["finish"],
        ["respond", "write"],
        ["start", "finish", "finish"],
    ],
)
async def test_steps_out_of_order_are_errors(steps):
    app = Recording()
    protocol, _ = connect(app)
    protocol.data_received(GET)
    call = {
        "respond": lambda exchange: exchange.respond(200),
        "start": lambda exchange: exchange.start(200),
        "write": lambda exchange: exchange.write(b"x"),
        "finish": lambda exchange: exchange.finish(),
    }
    for step in steps[:-1]:
        call[step](app.seen[0])
    with pytest.raises(IllegalStep):
        call[steps[-1]](app.seen[0])


# -- one exchange after the other


async def test_pipelined_requests_wait_for_their_turn():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET + post(b"abc") + chunked(b"de", b"f") + POST + b"Content-Le")
    assert len(app.seen) == 1
    assert transport.is_paused
    app.seen[0].respond(200, [], b"1")
    assert len(app.seen) == 2
    assert app.events[-1] == (b"POST", b"/p", b"abc")
    app.seen[1].respond(200, [], b"2")
    assert app.events[-1] == (b"POST", b"/p", b"def")
    app.seen[2].respond(200, [], b"3")
    assert not transport.is_paused
    protocol.data_received(b"ngth: 1\r\n\r\ng")
    assert app.events[-1] == (b"POST", b"/p", b"g")
    app.seen[3].respond(200, [], b"4")
    assert [line[-1:] for line in transport.take().split(b"HTTP/1.1")[1:]] == [
        b"1",
        b"2",
        b"3",
        b"4",
    ]


async def test_a_pipelined_body_goes_on_after_its_turn_has_come():
    app = Recording()
    protocol, _ = connect(app)
    protocol.data_received(GET + POST + b"Content-Length: 6\r\n\r\nabc")
    app.seen[0].respond(200)
    assert bytes(app.seen[1].receiver.body) == b"abc"
    protocol.data_received(b"def")
    assert app.events[-1] == (b"POST", b"/p", b"abcdef")


async def test_ten_thousand_pipelined_requests_do_not_recurse():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET)
    app.answers = True
    protocol.data_received(GET * 10_000)
    app.seen[0].respond(200)
    assert transport.take().count(b"200 OK") == 10_001


async def test_a_refusal_waits_for_the_answers_before_it():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET + GET + b"nonsense\r\n\r\n")
    assert transport.take() == b""
    app.seen[0].respond(200)
    assert transport.take().startswith(b"HTTP/1.1 200 ")
    app.seen[1].respond(200)
    first, second = transport.take().split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200")
    assert second.startswith(b"501")
    assert transport.has_eof


async def test_a_pipelined_request_with_a_broken_body_never_reaches_the_app():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET + POST + TE + b"\r\nnonsense\r\n")
    app.seen[0].respond(200)
    assert len(app.seen) == 1
    assert [part[:3] for part in transport.take().split(b"HTTP/1.1 ")[1:]] == [b"200", b"400"]


# -- early answers


async def test_a_small_rest_is_read_away_after_an_early_answer():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(POST + b"Content-Length: 1000\r\n\r\n")
    app.seen[0].respond(503)
    assert b"close" not in transport.take()
    protocol.data_received(b"x" * 1000 + GET)
    assert len(app.seen) == 2
    assert app.events == [(b"GET", b"/x?y", b"")]


async def test_a_large_rest_closes_after_an_early_answer_and_what_comes_is_dropped():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(POST + b"Content-Length: 1000000\r\n\r\n")
    app.seen[0].respond(503)
    assert b"Connection: close" in transport.take()
    assert transport.has_eof
    protocol.data_received(b"x" * 100_000 + GET)
    protocol.data_received(b"x" * 900_000 + GET)
    assert len(app.seen) == 1
    protocol.connection_lost(None)


async def test_a_large_rest_closes_after_an_early_streamed_answer():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(POST + b"Content-Length: 1000000\r\n\r\n")
    app.seen[0].start(200)
    app.seen[0].finish()
    assert transport.has_eof
    protocol.connection_lost(None)


async def test_endless_chunks_after_an_early_answer_close():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(POST + TE + b"\r\n")
    app.seen[0].respond(503)
    assert b"close" not in transport.take()
    for _ in range(9):
        protocol.data_received(b"2000\r\n" + b"x" * 8192 + b"\r\n")
    assert transport.has_eof
    protocol.connection_lost(None)


async def test_a_closing_connection_does_not_linger_for_ever():
    app = Recording()
    protocol, transport = connect(app, limits=Limits(linger_s=0.01, idle_timeout_s=None))
    protocol.data_received(POST + b"Content-Length: 1000000\r\n\r\n")
    app.seen[0].respond(503)
    await until(lambda: transport.is_aborted)


async def test_reading_resumes_after_an_answer_given_while_paused():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(POST + b"Content-Length: 10\r\n\r\n")
    app.seen[0].pause_body()
    assert transport.is_paused
    app.seen[0].respond(503)
    assert not transport.is_paused
    protocol.data_received(b"x" * 10 + GET)
    assert len(app.seen) == 2


async def test_pause_and_resume():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(POST + b"Content-Length: 10\r\n\r\n")
    app.seen[0].pause_body()
    app.seen[0].pause_body()
    app.seen[0].resume_body()
    app.seen[0].resume_body()
    assert not transport.is_paused
    app.seen[0].respond(200)
    app.seen[0].pause_body()  # too late to mean anything
    assert not transport.is_paused


# -- expecting 100-continue


EXPECT = POST + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"


async def test_continue_is_said_when_the_app_takes_the_body():
    app = Recording(answers=True)
    protocol, transport = connect(app)
    protocol.data_received(EXPECT)
    assert transport.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    protocol.data_received(b"abc")
    assert transport.take().endswith(b"3")


async def test_continue_is_not_said_until_the_app_wants_the_body():
    app = Recording()
    protocol, transport = connect(lambda exchange: (app(exchange), exchange.pause_body()))
    protocol.data_received(EXPECT)
    assert transport.take() == b""
    app.seen[0].resume_body()
    assert transport.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    app.seen[0].resume_body()
    assert transport.take() == b""


async def test_a_refusal_instead_of_continue_closes():
    protocol, transport = connect(lambda exchange: exchange.respond(413))
    protocol.data_received(EXPECT)
    answer = transport.take()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer
    protocol.connection_lost(None)


async def test_continue_of_a_pipelined_request_waits_for_its_turn():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET + EXPECT)
    assert transport.take() == b""
    app.seen[0].respond(200)
    assert transport.take().endswith(b"HTTP/1.1 100 Continue\r\n\r\n")


# -- the fate of the connection


async def test_gone_is_said_once_and_later_writes_are_dropped():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(POST + b"Content-Length: 3\r\n\r\na")
    protocol.connection_lost(None)
    assert app.events == ["gone"]
    exchange = app.seen[0]
    exchange.respond(200)
    exchange.start(200)
    exchange.write(b"x")
    exchange.finish()
    exchange.abort()
    exchange.resume_body()
    assert exchange.is_over
    assert transport.take() == b""
    assert app.events == ["gone"]


async def test_nobody_is_gone_after_the_answer():
    app = Recording(answers=True)
    protocol, _ = connect(app)
    protocol.data_received(GET)
    protocol.connection_lost(None)
    assert "gone" not in app.events


async def test_waiting_requests_never_reach_the_app_when_the_client_leaves():
    app = Recording()
    protocol, _ = connect(app)
    protocol.data_received(GET + GET)
    protocol.connection_lost(None)
    assert len(app.seen) == 1
    assert app.events[-1] == "gone"


async def test_the_app_hears_when_it_may_write_again():
    app = Recording()
    protocol, _ = connect(app)
    protocol.data_received(GET)
    assert app.seen[0].is_writable
    protocol.pause_writing()
    assert not app.seen[0].is_writable
    protocol.resume_writing()
    assert app.seen[0].is_writable
    assert app.seen[0].receiver.writable == 1


async def test_retire_closes_now_or_after_the_answer():
    app = Recording()
    protocol, transport = connect(app)
    protocol.retire()
    assert transport.is_closed
    protocol, transport = connect(app)
    protocol.data_received(GET)
    protocol.retire()
    assert not transport.is_closed
    app.seen[-1].respond(200)
    assert b"Connection: close" in transport.take()
    assert transport.is_closed


async def test_open_connections_are_known():
    from jupyter_faas.wire.server import HttpServerProtocol
    from tests.wire.fakes import FakeTransport

    known: set[HttpServerProtocol] = set()
    protocol = HttpServerProtocol(Recording(), connections=known)
    assert not known
    protocol.connection_made(FakeTransport())
    assert known == {protocol}
    protocol.connection_lost(None)
    assert not known


# -- failing apps


async def test_an_app_that_raises_is_500_and_closes(caplog):
    def app(exchange):
        raise ZeroDivisionError

    protocol, transport = connect(app)
    protocol.data_received(GET)
    answer = transport.take()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b'"code":"internal"' in answer
    assert transport.is_closed
    assert "ZeroDivisionError" in caplog.text


async def test_an_app_that_raises_after_it_began_is_cut(caplog):
    def app(exchange):
        exchange.start(200)
        raise ZeroDivisionError

    protocol, transport = connect(app)
    protocol.data_received(GET)
    assert transport.is_aborted


async def test_a_receiver_that_raises_is_500(caplog):
    class Failing(Recorder):
        def on_body(self, data):
            raise ZeroDivisionError

    def app(exchange):
        exchange.receiver = Failing(exchange)

    protocol, transport = connect(app)
    protocol.data_received(post(b"abc"))
    assert transport.take().startswith(b"HTTP/1.1 500 ")
    assert "ZeroDivisionError" in caplog.text


async def test_a_receiver_that_raises_in_a_counted_body_is_500(caplog):
    class Failing(Recorder):
        def on_body(self, data):
            raise ZeroDivisionError

    def app(exchange):
        exchange.receiver = Failing(exchange)

    protocol, transport = connect(app)
    protocol.data_received(POST + b"Content-Length: 6\r\n\r\n")
    protocol.data_received(b"abc")
    assert transport.take().startswith(b"HTTP/1.1 500 ")


# -- time


async def test_a_head_that_dribbles_in_is_408():
    app = Recording()
    protocol, transport = connect(app, limits=Limits(head_timeout_s=0.02, idle_timeout_s=None))
    protocol.data_received(b"GET / HT")
    await until(lambda: transport.has_eof)
    assert transport.take().startswith(b"HTTP/1.1 408 ")
    protocol.connection_lost(None)


async def test_a_head_behind_a_waiting_answer_is_not_late():
    app = Recording()
    protocol, transport = connect(app, limits=Limits(head_timeout_s=0.01, idle_timeout_s=None))
    protocol.data_received(GET + GET + b"GET / HT")
    timer = protocol._head_timer
    await until(lambda: protocol._head_timer is not timer)  # it has looked once
    app.seen[0].respond(200)
    app.seen[1].respond(200)
    protocol.data_received(b"TP/1.1\r\n" + HOST + b"\r\n")
    app.seen[2].respond(200)
    assert transport.take().count(b"200 OK") == 3
    protocol.connection_lost(None)


async def test_a_complete_head_is_not_timed():
    app = Recording()
    protocol, _ = connect(app)
    protocol.data_received(GET[:5])
    assert protocol._head_timer is not None
    protocol.data_received(GET[5:])
    assert protocol._head_timer is None


async def test_an_idle_connection_closes_and_a_busy_one_does_not():
    app = Recording()
    _, idle = connect(app, limits=Limits(idle_timeout_s=0.02))
    protocol, busy = connect(app, limits=Limits(idle_timeout_s=0.02))
    protocol.data_received(GET)
    await until(lambda: idle.is_closed)
    assert not busy.is_closed
    app.seen[0].respond(200)
    await until(lambda: busy.is_closed)
    protocol.connection_lost(None)
