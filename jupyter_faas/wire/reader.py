"""The parsing half of the server side: bytes in, exchanges and pieces of their bodies out.

Sans-I/O. `RequestReader` is fed what the connection reads; its subclass says what happens with a
request, its body, its end and a refusal. llhttp (httptools) parses; a body of known length
bypasses it after its first packet: bytes are counted and handed over as they were read.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import cast

import httptools

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.wire.exchange import Connection, Exchange
from jupyter_faas.wire.limits import Limits
from jupyter_faas.wire.requests import NO_BODY, BadHead, Framing, framing, split_target, told


class RequestReader(Connection):
    """Parses the requests of one connection.

    Args:
        limits: `head_bytes` and `headers` are kept here.
    """

    __slots__ = (
        "_gap_bytes",
        "_head_bytes",
        "_headers",
        "_is_deaf",
        "_is_in_head",
        "_left_bytes",
        "_limits",
        "_parser",
        "_read_bytes",
        "_receiving",
        "_skips_parser",
        "_url",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._is_in_head = False  # the first byte of a head is here, its last is not
        self._head_bytes = 0  # not zero: it has come in several packets
        self._gap_bytes = 0  # of a chunked body's packets since they brought something of it
        self._read_bytes = 0  # of the packet at hand
        self._receiving: Exchange | None = None  # its body is coming in
        self._left_bytes = 0  # of a body of known length
        self._skips_parser = False
        self._is_deaf = False  # what still comes is dropped

    # -- what the subclass says

    @abstractmethod
    def on_request(self, exchange: Exchange) -> None:
        """The head of a request is complete."""

    @abstractmethod
    def on_request_body(self, exchange: Exchange, data: bytes) -> None:
        """A piece of its body is here."""

    @abstractmethod
    def on_request_end(self, exchange: Exchange) -> None:
        """The request is complete."""

    @abstractmethod
    def on_refused(self, error: BadRequest, broken: Exchange | None) -> None:
        """What was read is refused, and nothing more is read; `broken`: whose body it was."""

    @abstractmethod
    def on_defect(self, error: BaseException | None) -> None:
        """One of the above raised."""

    # -- what the subclass calls

    def feed(self, data: bytes) -> None:
        """Take what was read."""
        if self._skips_parser:
            return self._feed_counted(data)
        if self._is_deaf:
            return None
        self._read_bytes = len(data)
        was_in_head = self._is_in_head
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # The offer of another protocol is declined by answering in this one. The parser has
            # left the body to that protocol; it is the request's (RFC 9110 section 7.8).
            self._parser = httptools.HttpRequestParser(self)
            self._skips_parser = self._left_bytes > 0
            if rest := data[upgrade.args[0] :]:
                self.feed(rest)
            return None
        except httptools.HttpParserCallbackError as error:
            return self.on_defect(error.__context__)
        except httptools.HttpParserError as error:
            return self._refuse_bytes(error)
        if self._left_bytes and not self._is_deaf:
            self._skips_parser = True
        if self._is_in_head:
            self._count_head(len(data) if was_in_head else 1)
        elif self._receiving is not None:
            self._count_gap()
        return None

    def refuse(self, status: int, detail: str) -> None:
        """Read no more, and say why."""
        broken = self._receiving
        self.deafen()
        self.on_refused(BadRequest(detail, status=status), broken)

    def deafen(self) -> None:
        """Drop whatever still comes."""
        self._is_deaf = True
        self._is_in_head = self._skips_parser = False
        self._receiving = None
        self._left_bytes = 0

    def let_go(self) -> None:
        """Break the cycle with the parser, so that a closed connection is freed at once."""
        self.deafen()
        self._parser = cast(httptools.HttpRequestParser, None)

    # -- the parser's calls

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._is_in_head = True
        self._head_bytes = 0
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        """The target, or a part of it."""
        self._url = self._url + url if self._url else url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line; after the head it is a trailer, and dropped."""
        if self._is_in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Judge the head and give the request on."""
        self._is_in_head = False
        if self._is_deaf:
            return
        parser = self._parser
        exchange = Exchange(self, parser.get_method(), self._url, self._headers)
        try:
            self._check_size()
            exchange.path, exchange.query = split_target(self._url)
            length, is_chunked, waits = self._framing(exchange)
        except BadHead as bad:
            return self.refuse(bad.status, bad.detail)
        if length is not None or is_chunked:
            if is_chunked and parser.should_upgrade():
                return self.refuse(501, "An offer to upgrade comes without chunks.")
            exchange.content_length = length
            exchange.is_chunked = is_chunked
            exchange.has_body = length != 0
            exchange.waits_for_continue = waits and length != 0
            self._left_bytes = length or 0
        self._receiving = exchange
        self._gap_bytes = -self._read_bytes
        self.on_request(exchange)

    def on_body(self, data: bytes) -> None:
        """A piece of a body."""
        exchange = self._receiving
        self._gap_bytes = -self._read_bytes  # this packet does not count
        if exchange is not None:
            if self._left_bytes:
                self._left_bytes -= len(data)
            self.on_request_body(exchange, data)

    def on_message_complete(self) -> None:
        """A request is complete, with its body."""
        if self._left_bytes:
            return  # it offers an upgrade: see `feed`
        exchange, self._receiving = self._receiving, None
        if exchange is not None:
            exchange.is_body_complete = True
            if not exchange.keep_alive:
                self._is_deaf = True
            self.on_request_end(exchange)

    # -- inside

    def _feed_counted(self, data: bytes) -> None:
        left, size = self._left_bytes, len(data)
        if size < left:
            return self.on_body(data)
        self._skips_parser = False
        self._parser = httptools.HttpRequestParser(self)
        self.on_body(data if size == left else data[:left])
        if not self._is_deaf:
            self.on_message_complete()
            if size > left:
                self.feed(data[left:])
        return None

    def _count_head(self, size: int) -> None:
        """Bound a head that is not complete; where it began in a packet is not known."""
        self._head_bytes += size
        if self._head_bytes > self._limits.head_bytes:
            self.refuse(431, f"The head is larger than {self._limits.head_bytes} bytes.")

    def _count_gap(self) -> None:
        """Bound what comes between the pieces of a chunked body: extensions, trailers."""
        self._gap_bytes += self._read_bytes
        if self._gap_bytes > self._limits.head_bytes and not self._skips_parser:
            self.refuse(431, "Trailers or chunk extensions are larger than a head may be.")

    def _framing(self, exchange: Exchange) -> Framing:
        facts = told(self._headers)
        is_kept = exchange.keep_alive = self._parser.should_keep_alive()
        if is_kept and len(facts) == 1 and facts[0][0] == b"host":
            return NO_BODY
        if not is_kept or any(name == b"connection" for name, _ in facts):
            exchange.version = self._parser.get_http_version()
        # Else it is 1.1: older versions are only kept alive if asked to. Asking llhttp costs
        # as much as the rest of this.
        return framing(facts, exchange.version)

    def _check_size(self) -> None:
        limits, headers = self._limits, self._headers
        if len(headers) > limits.headers:
            raise BadHead(431, f"More than {limits.headers} headers.")
        if not self._head_bytes and self._read_bytes <= limits.head_bytes:
            return  # in one packet that is smaller
        size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in headers)
        if size > limits.head_bytes:
            raise BadHead(431, f"The head is larger than {limits.head_bytes} bytes.")

    def _refuse_bytes(self, error: Exception) -> None:
        if self._is_deaf:
            return  # it follows the last request
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            self.refuse(501, "This method is not known.")
        else:
            self.refuse(400, f"This is not HTTP/1.1: {error}.")
