"""Gateway CPU per proxied call, against nginx to the same upstream, in turns.

The upstream answers at once and is the same process for both. The gateway is whole: ids, tokens,
slots, metering into SQLite, metrics. nginx forwards with kept-alive connections and logs nothing.
wrk drives both with the same requests over TCP.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.harness import Row, cpu_s, in_turns, wait_until

ROUNDS = 5
SECONDS = 2
TOKEN = "bench-token-of-a-usual-length-0123456789abc"
AT_MOST = 1.6

_NGINX = """
{user}
worker_processes 1;
daemon off;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
  fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  keepalive_requests 100000000;
  upstream front {{ server unix:{socket}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location /function/ {{
      proxy_pass http://front/v1/call;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""

_WRK = """
wrk.method = "POST"
wrk.body = '{{"x": 3}}'
wrk.headers["Authorization"] = "Bearer {token}"
wrk.headers["Content-Type"] = "application/json"
"""


class Proxy(NamedTuple):
    """A proxy under load: the process whose CPU counts, and its port."""

    pid: int
    port: int


class Load(NamedTuple):
    """What one burst of wrk saw."""

    cpu_us: float
    """CPU of the proxy per call, microseconds."""
    calls_per_s: float


def run() -> list[Row]:
    """Measure one and 64 connections."""
    missing = [tool for tool in ("nginx", "wrk") if shutil.which(tool) is None]
    if missing:
        raise FileNotFoundError(f"{' and '.join(missing)} must be installed for this figure")
    with tempfile.TemporaryDirectory(prefix="faas-proxy-") as directory:
        root = Path(directory)
        with front(root) as socket, _nginx(root, socket) as nginx, _gateway(root, socket) as ours:
            (root / "call.lua").write_text(_WRK.format(token=TOKEN))
            for proxy in (ours, nginx):
                _burst(root, proxy, 64, seconds=1)
            return [_row(root, ours, nginx, 64), _row(root, ours, nginx, 1)]


def _row(root: Path, ours: Proxy, nginx: Proxy, connections: int) -> Row:
    rates: dict[str, list[float]] = {"ours": [], "nginx": []}

    def measure(proxy: Proxy, into: str) -> float:
        load = _burst(root, proxy, connections, seconds=SECONDS)
        rates[into].append(load.calls_per_s)
        return load.cpu_us

    of_ours, of_nginx = in_turns(
        partial(measure, ours, "ours"), partial(measure, nginx, "nginx"), ROUNDS
    )
    ratio = statistics.median(a / b for a, b in zip(of_ours, of_nginx, strict=True))
    us, peer = statistics.median(of_ours), statistics.median(of_nginx)
    is_asked = connections == 64
    return Row(
        figure=f"gateway CPU per proxied call, {connections} "
        f"connection{'s' if connections > 1 else ''}, over nginx",
        measured=f"{ratio:.2f} × ({us:.1f} µs against {peer:.1f} µs)",
        target=f"≤ {AT_MOST} × (aim: 1.3)" if is_asked else "",
        is_reached=ratio <= AT_MOST if is_asked else None,
        detail={
            "ratio": ratio,
            "ours_cpu_us": us,
            "nginx_cpu_us": peer,
            "ours_calls_per_s": statistics.median(rates["ours"]),
            "nginx_calls_per_s": statistics.median(rates["nginx"]),
        },
    )


def _burst(root: Path, proxy: Proxy, connections: int, *, seconds: int) -> Load:
    before = cpu_s(proxy.pid)
    address = f"http://127.0.0.1:{proxy.port}/function/f"
    script = str(root / "call.lua")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, address]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = cpu_s(proxy.pid) - before
    found = re.search(r"(\d+) requests in ([\d.]+)s", said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"calls failed:\n{said}")
    calls = int(found[1])
    return Load(used / calls * 1e6, calls / float(found[2]))


@contextmanager
def child(*command: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def front(root: Path) -> Iterator[str]:
    socket = str(root / "front.sock")
    with child(sys.executable, "-m", "bench.peers.front_stub", socket) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield socket


@contextmanager
def _gateway(root: Path, socket: str) -> Iterator[Proxy]:
    state = root / "state"
    state.mkdir(mode=0o700)
    command = (sys.executable, "-m", "bench.peers.gateway_stub", str(state), socket, TOKEN)
    with child(*command) as process:
        assert process.stdout is not None
        yield Proxy(process.pid, int(process.stdout.readline()))


@contextmanager
def _nginx(root: Path, socket: str) -> Iterator[Proxy]:
    port = _free_port()
    config = root / "nginx.conf"
    # Started by root, nginx would drop its rights and could not open the front's socket.
    user = "user root;" if os.getuid() == 0 else ""
    config.write_text(_NGINX.format(user=user, root=root, socket=socket, port=port))
    with child("nginx", "-e", str(root / "error.log"), "-c", str(config)) as master:
        children = Path(f"/proc/{master.pid}/task/{master.pid}/children")
        wait_until(lambda: children.read_text().split(), 5, "nginx has a worker")
        try:
            yield Proxy(int(children.read_text().split()[0]), port)
        finally:
            master.terminate()
            master.wait(5)


def _free_port() -> int:
    from socket import create_server

    with create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
