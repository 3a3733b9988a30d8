"""The HTTP layer by itself, against nginx in turns: server, bare forwarder, client, 100 MB.

What the gateway adds (ids, slots, metering) is measured in bench/proxy.py; this says what the wire
alone costs. wrk drives server and forwarder over TCP; both forwarders have the same upstream.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.harness import Row, cpu_s, in_turns, percentile, wait_until
from jupyter_faas.wire.blocking import BlockingConnection

ROUNDS = 5
SECONDS = 1
CALLS = 2000
LARGE_BYTES = 100_000_000

_NGINX = """
{user}
worker_processes 1;
daemon off;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  keepalive_requests 100000000;
  upstream behind {{ server unix:{socket}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location /here {{ default_type text/plain; return 200 "6"; }}
    location / {{
      proxy_pass http://behind;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


class Peer(NamedTuple):
    """A process under load, and what is asked of it."""

    pid: int
    port: int
    path: str


def run() -> list[Row]:
    """Measure server and forwarder at 64 connections and one, the client, and 100 MB."""
    missing = [tool for tool in ("nginx", "wrk") if shutil.which(tool) is None]
    if missing:
        raise FileNotFoundError(f"{' and '.join(missing)} must be installed for this figure")
    with tempfile.TemporaryDirectory(prefix="faas-http-") as directory:
        root = Path(directory)
        behind = str(root / "behind.sock")
        with _stub("answer", behind) as server, _stub("forward", behind) as ours:
            with _nginx(root, behind) as nginx:
                rows = [
                    _row("server", server, nginx._replace(path="/here"), connections)
                    for connections in (64, 1)
                ]
                rows += [_row("forwarder", ours, nginx, connections) for connections in (64, 1)]
                rows.append(_large(ours, nginx))
            rows.append(_client(behind))
    return rows


def _row(what: str, ours: Peer, nginx: Peer, connections: int) -> Row:
    for peer in (ours, nginx):
        _burst(peer, connections)
    of_ours, of_nginx = in_turns(
        partial(_burst, ours, connections), partial(_burst, nginx, connections), ROUNDS
    )
    plural = "s" if connections > 1 else ""
    figure = f"bare {what}, CPU per request, {connections} connection{plural}, over nginx"
    return _ratio(figure, of_ours, of_nginx, "cpu_us", "µs")


def _ratio(figure: str, ours: list[float], peer: list[float], key: str, unit: str) -> Row:
    ratio = statistics.median(a / b for a, b in zip(ours, peer, strict=True))
    a, b = statistics.median(ours), statistics.median(peer)
    return Row(
        figure=figure,
        measured=f"{ratio:.2f} × ({a:.1f} {unit} against {b:.1f} {unit})",
        detail={"ratio": ratio, f"ours_{key}": a, f"peer_{key}": b},
    )


def _burst(peer: Peer, connections: int) -> float:
    """Return microseconds of CPU per request."""
    before = cpu_s(peer.pid)
    address = f"http://127.0.0.1:{peer.port}{peer.path}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", address]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = cpu_s(peer.pid) - before
    found = re.search(r"(\d+) requests in", said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"requests failed:\n{said}")
    return used / int(found[1]) * 1e6


def _large(ours: Peer, nginx: Peer) -> Row:
    body = [bytes(LARGE_BYTES)]

    def send(peer: Peer) -> float:
        before = cpu_s(peer.pid)
        connection = BlockingConnection(f"127.0.0.1:{peer.port}")
        told = connection.request("POST", "/", (), body).read()
        connection.close()
        assert told == b"%d" % LARGE_BYTES
        return (cpu_s(peer.pid) - before) * 1000

    of_ours, of_nginx = in_turns(partial(send, ours), partial(send, nginx), ROUNDS)
    figure = "bare forwarder, CPU for a body of 100 MB, over nginx"
    return _ratio(figure, of_ours, of_nginx, "cpu_ms", "ms")


def _client(path: str) -> Row:
    """The blocking client against a bare socket that sends the same bytes."""
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
    raw = head + b"Content-Length: 3\r\n\r\nabc"
    connection = BlockingConnection(f"unix:{path}")
    headers = [(b"Content-Type", b"text/plain")]
    with socket.socket(socket.AF_UNIX) as bare:
        bare.connect(path)

        def by_socket() -> None:
            bare.send(raw)
            bare.recv(65536)

        def by_client() -> None:
            connection.request("POST", "/", headers, [b"abc"], timeout_s=300).read()

        of_client, of_socket = in_turns(
            partial(_median_us, by_client), partial(_median_us, by_socket), ROUNDS
        )
    connection.close()
    return _ratio(
        "blocking client, p50 of a call, over a bare socket", of_client, of_socket, "us", "µs"
    )


def _median_us(call: Callable[[], None]) -> float:
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return percentile(times, 50) * 1e6


@contextmanager
def _stub(role: str, path: str) -> Iterator[Peer]:
    command = (sys.executable, "-m", "bench.peers.wire_stub", role, path)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Peer(process.pid, int(process.stdout.readline()), "/")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def _nginx(root: Path, path: str) -> Iterator[Peer]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    # Started by root, nginx would drop its rights and could not open the upstream's socket.
    user = "user root;" if os.getuid() == 0 else ""
    config = root / "nginx.conf"
    config.write_text(_NGINX.format(user=user, root=root, socket=path, port=port))
    master = subprocess.Popen(["nginx", "-e", str(root / "error.log"), "-c", str(config)])
    children = Path(f"/proc/{master.pid}/task/{master.pid}/children")
    try:
        wait_until(lambda: children.read_text().split(), 5, "nginx has a worker")
        yield Peer(int(children.read_text().split()[0]), port, "/")
    finally:
        master.terminate()
        master.wait(5)
