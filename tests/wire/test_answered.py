"""A task that owes an answer and fails gives one all the same."""

import asyncio

import pytest

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.wire.answered import answered
from tests.wire.fakes import Recording, connect

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def asked():
    app = Recording()
    protocol, transport = connect(app)
    protocol.data_received(GET)
    yield app.seen[0], transport
    protocol.connection_lost(None)


async def test_what_it_answers_is_the_answer(asked):
    exchange, transport = asked

    async def work():
        await asyncio.sleep(0)
        exchange.respond(200, [], b"done")

    await answered(exchange, work)
    assert transport.take().endswith(b"\r\n\r\ndone")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BadRequest("Not so.", status=404), b"404", b"Not so."),
        (KeyError("odd"), b"500", b"The server failed; its log says how."),
    ],
)
async def test_what_it_raises_is_the_answer_too(asked, caplog, error, status, said):
    exchange, transport = asked

    async def work():
        raise error

    await answered(exchange, work)
    told = transport.take()
    assert told.startswith(b"HTTP/1.1 " + status)
    assert said in told
    assert exchange.receiver is None
    assert ("KeyError: 'odd'" in caplog.text) == (status == b"500")


async def test_an_answer_that_breaks_off_is_cut(asked):
    exchange, transport = asked

    async def work():
        exchange.start(200, (), 100)
        exchange.write(b"half")
        raise OSError("the disk is gone")

    await answered(exchange, work)
    assert transport.is_aborted


async def test_who_has_left_is_told_nothing(asked):
    exchange, transport = asked

    async def work():
        exchange.abort()
        raise KeyError("late")

    await answered(exchange, work)
    assert transport.take() == b""
