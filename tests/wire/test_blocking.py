"""The blocking client against a real server in another thread, and against scripted sockets."""

import asyncio
import contextlib
import os
import select
import signal
import socket
import ssl
import threading
import time

import pytest

from jupyter_faas.core.errors import GatewayLost, GatewayUnavailable
from jupyter_faas.wire.blocking import BlockingConnection
from jupyter_faas.wire.server import HttpServerProtocol, Limits
from tests.support import state_dir, wait_until
from tests.wire.fakes import Recorder

MEBI = 1 << 20


class App:
    """Answers by path; remembers how many connections there were and who left."""

    def __init__(self):
        self.connections = set()
        self.events = []
        self.seen = []

    def __call__(self, exchange):
        self.connections.add(id(exchange._connection))
        self.seen.append(exchange)
        path = exchange.path.decode().strip("/") or "echo"
        exchange.receiver = Recorder(exchange, self.events, answers=False)
        getattr(self, path)(exchange)

    def echo(self, exchange):
        exchange.receiver.answers = True

    def hang(self, exchange):
        """No answer."""

    def refuse(self, exchange):
        exchange.respond(503, [(b"Faas-Busy", b"1")], b"busy")

    def large(self, exchange):
        exchange.respond(200, [], bytes(30 * MEBI))

    def chunks(self, exchange):
        exchange.start(200)
        for size in range(1, 5):
            exchange.write(b"x" * size * 100_000)
        exchange.finish()

    def drip(self, exchange):
        exchange.start(200)
        exchange.write(b"first")

    def trickle(self, exchange):
        exchange.start(200)
        self.drop(exchange)

    def drop(self, exchange):
        exchange.write(b"x")
        if not exchange.is_over:
            asyncio.get_running_loop().call_later(0.005, self.drop, exchange)

    def cut(self, exchange):
        exchange.start(200, content_length=10)
        exchange.write(b"abc")
        asyncio.get_running_loop().call_later(0.01, exchange.abort)

    def last(self, exchange):
        exchange.keep_alive = False
        exchange.respond(200, [], b"last")


@contextlib.contextmanager
def running(app, **options):
    """Serve `app` from a thread of its own; yield (address, loop)."""
    loop = asyncio.new_event_loop()
    protocols = set()

    def make():
        return HttpServerProtocol(app, connections=protocols, limits=Limits())

    with state_dir() as directory:
        if options.get("tcp") or options.get("tls"):
            server = loop.run_until_complete(
                loop.create_server(make, "127.0.0.1", 0, ssl=options.get("tls"))
            )
            scheme = "https" if options.get("tls") else "http"
            address = f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
        else:
            path = str(directory / "s")
            server = loop.run_until_complete(loop.create_unix_server(make, path))
            address = f"unix:{path}"
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield address, loop
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(lambda: [p.transport.abort() for p in list(protocols)])
            loop.call_soon_threadsafe(lambda: loop.call_soon(loop.stop))
            thread.join()
            loop.run_until_complete(asyncio.sleep(0.01))
            loop.close()


class Clock:
    """Monotonic seconds, moved by hand: what is waited for is waited for really."""

    def __init__(self):
        self.now_s = 0.0
        self.step_s = 0.0

    def __call__(self):
        self.now_s += self.step_s
        return self.now_s


@pytest.fixture
def app():
    return App()


@pytest.fixture
def connection(app):
    with running(app) as (address, _):
        connection = BlockingConnection(address)
        yield connection
        connection.close()


def test_a_call(connection, app):
    response = connection.request("POST", "/?q=1", {"A": "b"}, [b"ab", memoryview(b"c")])
    assert (response.status, response.headers["content-length"]) == (200, "1")
    assert response.is_complete
    assert response.read() == b"3"
    assert app.events == [(b"POST", b"/?q=1", b"abc")]
    assert app.seen[0].header(b"a") == b"b"


def test_a_connection_is_used_again(connection, app):
    for _ in range(3):
        connection.request("GET", "/").read()
        assert len(connection.request("GET", "/chunks").read()) == 1_000_000
    assert len(app.connections) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_tcp(app, method):
    with running(app, tcp=True) as (address, _):
        connection = BlockingConnection(address)
        for _ in range(2):
            assert connection.request(method, "/").status == 200
        connection.close()
    assert len(app.connections) == 1
    assert app.seen[0].header(b"host") == address.removeprefix("http://").encode()


def test_large_bodies_both_ways(connection):
    parts = [os.urandom(5 * MEBI), bytearray(20 * MEBI), b"", memoryview(b"x" * MEBI)]
    assert connection.request("POST", "/", (), parts).read() == b"%d" % (26 * MEBI)
    many = [b"x"] * 100_000
    assert connection.request("POST", "/", (), many).read() == b"100000"
    body = connection.request("GET", "/large").read()
    assert len(body) == 30 * MEBI
    assert sum(map(len, connection.request("GET", "/large").iter_body())) == 30 * MEBI


def test_a_stream_yields_what_is_there(connection, app):
    stream = connection.request("GET", "/drip").iter_body()
    assert next(stream) == b"first"
    stream.close()
    wait_until(lambda: "gone" in app.events, what="the server sees its client leave")
    assert connection.request("GET", "/").read() == b"0"
    assert len(app.connections) == 2


def test_an_answer_that_is_abandoned_is_cut_by_the_next_request(connection, app):
    abandoned = connection.request("GET", "/drip")
    assert connection.request("GET", "/").read() == b"0"
    wait_until(lambda: "gone" in app.events)
    with pytest.raises(GatewayLost):
        abandoned.read()
    abandoned.close()  # not this one's connection any more
    assert connection.request("GET", "/").read() == b"0"
    assert len(app.connections) == 2


def test_what_was_received_can_be_read_in_two_ways(connection):
    response = connection.request("POST", "/", (), [b"abc"])
    assert list(response.iter_body()) == [b"3"]
    assert response.read() == b""


def test_a_cut_answer_is_lost(connection):
    response = connection.request("GET", "/cut")
    with pytest.raises(GatewayLost):
        response.read()
    assert not response.is_complete
    with pytest.raises(GatewayLost):
        list(connection.request("GET", "/cut").iter_body())
    assert connection.request("GET", "/").read() == b"0"


def test_no_answer_in_time(connection, app):
    with pytest.raises(TimeoutError):
        connection.request("GET", "/hang", timeout_s=1.0)  # time enough to be heard
    wait_until(lambda: "gone" in app.events)
    assert connection.request("GET", "/").read() == b"0"


def test_a_stream_that_stalls_times_out(app):
    clock = Clock()
    with running(app) as (address, _):
        connection = BlockingConnection(address, clock=clock)
        response = connection.request("GET", "/drip", timeout_s=60.0)
        clock.now_s = 59.9
        with pytest.raises(TimeoutError):
            response.read()
        assert connection.request("GET", "/", timeout_s=None).read() == b"0"
        connection.close()


@pytest.mark.parametrize("read", ["read", "iter_body"])
def test_a_stream_that_goes_on_beyond_its_time_times_out(app, read):
    clock = Clock()
    with running(app) as (address, _):
        connection = BlockingConnection(address, clock=clock)
        response = connection.request("GET", "/trickle", timeout_s=60.0)
        clock.step_s = 5.0  # each look costs so much
        with pytest.raises(TimeoutError):
            b"".join(getattr(response, read)()) if read == "iter_body" else response.read()
        connection.close()


def test_an_early_refusal_of_a_large_body_is_read(connection, app):
    response = connection.request("POST", "/refuse", (), [bytes(50 * MEBI)])
    assert (response.status, response.read()) == (503, b"busy")
    assert connection.request("GET", "/").read() == b"0"


def test_connection_close_is_honoured(connection, app):
    assert connection.request("GET", "/last").read() == b"last"
    assert connection.request("GET", "/").read() == b"0"
    assert len(app.connections) == 2


def test_a_connection_closed_while_idle_is_opened_again(app):
    with running(app) as (address, loop):
        connection = BlockingConnection(address)
        connection.request("GET", "/").read()
        channel = connection._channel
        loop.call_soon_threadsafe(app.seen[0]._connection.transport.abort)
        wait_until(channel.is_stale)
        assert connection.request("GET", "/").read() == b"0"
        connection.close()
    assert len(app.connections) == 2


def test_a_connection_closed_between_look_and_send_is_opened_again(app, monkeypatch):
    with running(app) as (address, loop):
        connection = BlockingConnection(address)
        connection.request("GET", "/").read()
        channel = connection._channel
        loop.call_soon_threadsafe(app.seen[0]._connection.transport.abort)
        wait_until(channel.is_stale)
        monkeypatch.setattr(type(channel), "is_stale", lambda self: False)
        assert connection.request("GET", "/").read() == b"0"
        connection.close()


@pytest.mark.parametrize("address", ["unix:{}/nobody", "http://127.0.0.1:{}", "localhost:{}"])
def test_nobody_there(address, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused
        place = tmp_path if "unix" in address else taken.getsockname()[1]
        connection = BlockingConnection(address.format(place))
        with pytest.raises(GatewayUnavailable, match=r"Nothing was sent.*jupyter-faas status"):
            connection.request("GET", "/")


@pytest.mark.parametrize("family", ["unix", "tcp"])
def test_a_gateway_that_does_not_accept(family):
    with state_dir() as directory, contextlib.ExitStack() as stack:
        if family == "unix":
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(directory / "s"))
            address, place = f"unix:{directory / 's'}", str(directory / "s")
        else:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            place = listener.getsockname()
            address = f"{place[0]}:{place[1]}"
        listener.listen(0)
        for _ in range(3):  # fill the backlog
            client = stack.enter_context(socket.socket(listener.family))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(place)
        started = time.monotonic()
        with pytest.raises(GatewayUnavailable, match=r"no connection within 0\.2 s"):
            BlockingConnection(address, connect_timeout_s=0.2).request("GET", "/")
        assert 0.15 < time.monotonic() - started < 20


def test_close_from_another_thread_wakes_a_waiting_call(connection, app):
    failures = []

    def call():
        try:
            connection.request("GET", "/hang")
        except GatewayLost as error:
            failures.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    wait_until(lambda: app.seen)
    connection.close()
    thread.join(20)
    assert failures
    wait_until(lambda: "gone" in app.events)
    assert connection._channel is None


def test_an_interrupt_closes_the_connection(connection, app):
    """As `Interrupt` in a notebook: the gateway must see its caller leave at once."""
    main = threading.main_thread().ident
    waiter = threading.Thread(
        target=lambda: (wait_until(lambda: app.seen), signal.pthread_kill(main, signal.SIGINT))
    )
    # A test run in the background of a shell ignores SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    waiter.start()
    with pytest.raises(KeyboardInterrupt):
        connection.request("GET", "/hang")
    waiter.join()
    signal.signal(signal.SIGINT, before)
    wait_until(lambda: "gone" in app.events)
    assert connection.request("GET", "/").read() == b"0"


def test_tls(app, tmp_path, monkeypatch):
    server, certificate = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with running(app, tls=server) as (address, _):
        connection = BlockingConnection(address)
        for _ in range(3):
            body = [b"ab", bytes(MEBI)]
            assert connection.request("POST", "/", (), body, timeout_s=20).read() == b"1048578"
        assert len(connection.request("GET", "/large").read()) == 30 * MEBI
        with pytest.raises(TimeoutError):
            connection.request("GET", "/hang", timeout_s=0.05)
        connection.request("GET", "/").read()
        connection.close()
    assert len(app.connections) == 2


def test_an_unknown_certificate_is_unavailable(app, tmp_path):
    server, _ = _certificate(tmp_path)
    refused = pytest.raises(GatewayUnavailable, match="certificate")
    with running(app, tls=server) as (address, _), refused:
        BlockingConnection(address).request("GET", "/")


def _certificate(directory):
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = directory / "certificate.pem"
    path.write_bytes(certificate.public_bytes(pem))
    secret = directory / "key.pem"
    form = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path, secret)
    return server, path


# -- scripted: what a server of ours would never say


@contextlib.contextmanager
def scripted(*answers: bytes):
    """Accept one connection after the other; read a request, send an answer, close."""
    with state_dir() as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "s"))
        listener.listen(1)

        def play():
            for answer in answers:
                peer, _ = listener.accept()
                with peer, contextlib.suppress(ConnectionError):  # it may have heard enough
                    peer.recv(65536)
                    peer.sendall(answer)
                    peer.shutdown(socket.SHUT_WR)
                    peer.recv(1)

        thread = threading.Thread(target=play)
        thread.start()
        yield BlockingConnection(f"unix:{directory / 's'}")
        thread.join(20)
        assert not thread.is_alive()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        OK,
        OK + b"\r\n",
        OK + b"X: " + b"y" * 70_000,
        OK + b"Content-Length: 5\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\nabc\r\n",
    ],
)
def test_what_is_cut_or_no_answer_is_lost(raw):
    with scripted(raw) as connection:
        with pytest.raises(GatewayLost):
            connection.request("GET", "/", timeout_s=20).read()
        assert connection._channel is None


def test_interim_answers_are_skipped():
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n"
    with scripted(raw + OK + b"Content-Length: 1\r\n\r\na") as connection:
        assert connection.request("GET", "/").read() == b"a"
        connection.close()


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"Content-Length: 1\r\n\r\na" + OK,
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" + OK,
    ],
)
def test_bytes_after_the_answer_are_not_the_next_answer(raw):
    with scripted(raw, OK + b"Content-Length: 1\r\n\r\nb") as connection:
        assert connection.request("GET", "/").read() == b"a"
        assert connection._channel is None
        assert connection.request("GET", "/").read() == b"b"
        connection.close()


def test_a_gateway_that_does_not_read_times_out():
    with state_dir() as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "s"))
        listener.listen(1)
        connection = BlockingConnection(f"unix:{directory / 's'}")
        with pytest.raises(TimeoutError):
            connection.request("POST", "/", (), [bytes(20 * MEBI)], timeout_s=0.1)
        with pytest.raises(TimeoutError):
            connection.request("GET", "/", timeout_s=0)
        assert connection._channel is None


def test_a_tls_connection_closed_while_idle_is_opened_again(app, tmp_path, monkeypatch):
    server, certificate = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with running(app, tls=server) as (address, loop):
        connection = BlockingConnection(address)
        connection.request("GET", "/").read()
        channel = connection._channel
        assert not channel.is_stale()
        loop.call_soon_threadsafe(app.seen[0]._connection.transport.close)
        # Not `is_stale`: looking takes in the farewell.
        wait_until(lambda: select.select([channel._sock], [], [], 0)[0])
        assert connection.request("GET", "/").read() == b"0"
        connection.close()
    assert len(app.connections) == 2
