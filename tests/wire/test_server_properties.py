"""However the bytes of a connection are cut into packets, the app sees the same exchanges."""

import asyncio
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_faas.wire.server import Limits
from tests.wire.fakes import Recording, connect

bodies = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.integers(0, 5000).map(lambda size: b"z" * size),
    st.lists(st.binary(min_size=1, max_size=20), max_size=4),
)
requests = st.lists(
    st.tuples(st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD"]), bodies), max_size=6
)
endings = st.sampled_from(
    [b"", b"", b"nonsense\r\n\r\n", b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\n"]
)


def encode(method, body) -> bytes:
    head = method + b" /p HTTP/1.1\r\nHost: a\r\n"
    if body is None:
        return head + b"\r\n"
    if isinstance(body, bytes):
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in body)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def expected(sent) -> list:
    whole = [
        b"" if body is None else b"".join(body) if isinstance(body, list) else body
        for _, body in sent
    ]
    return [(method, b"/p", body) for (method, _), body in zip(sent, whole, strict=True)]


async def play(packets, answers_at_once: bool):
    """Feed the packets; a late app answers each exchange only after everything has come."""
    app = Recording(answers=answers_at_once)
    protocol, transport = connect(app, limits=Limits(idle_timeout_s=None))
    for packet in packets:
        protocol.data_received(packet)
    at = 0
    while not answers_at_once and at < len(app.seen):
        if app.seen[at].is_body_complete and not app.seen[at].is_over:
            app.seen[at].respond(200, [], b"%d" % len(app.seen[at].receiver.body))
        at += 1
    written = transport.take()
    protocol.connection_lost(None)
    return [event for event in app.events if event != "gone"], written


@settings(max_examples=200, deadline=None)
@given(requests, endings, st.lists(st.integers(0, 20_000), max_size=12), st.booleans())
def test_any_cut_gives_the_same_exchanges(sent, ending, cuts, answers_at_once):
    raw = b"".join(encode(*request) for request in sent) + ending
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    packets = [raw[a:b] for a, b in itertools.pairwise(places)]
    events, written = asyncio.run(play(packets, answers_at_once))
    assert events == expected(sent)
    whole_events, whole_written = asyncio.run(play([raw] if raw else [], answers_at_once=True))
    assert (events, written) == (whole_events, whole_written)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_make_the_server_fail(raw):
    """Whatever comes is refused with an answer, or waited on; nothing raises, nothing reaches apps
    without having been a request."""
    events, written = asyncio.run(play([raw] if raw else [], answers_at_once=True))
    assert b" 500 " not in written
    assert len(events) <= raw.count(b"HTTP/1.")


@settings(max_examples=200, deadline=None)
@given(requests.filter(bool), st.data())
def test_a_changed_byte_never_makes_the_server_fail(sent, data):
    raw = bytearray(b"".join(encode(*request) for request in sent))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    _, written = asyncio.run(play([bytes(raw)], answers_at_once=True))
    assert b" 500 " not in written
