"""A gateway process that answers /healthz and nothing else, on the real wire and state file.

`python fake_gateway.py [trait …]`: `fails` ends at once, `never_ready` hangs, `old` and `alien`
have another version and protocol. Each start adds a line to `starts` in the state directory.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler

from jupyter_faas.client.state_file import GatewayState, new_token, write_state
from jupyter_faas.core.model import PROTOCOL_VERSION
from jupyter_faas.core.settings import StatePaths
from jupyter_faas.core.version import VERSION


class Health(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    traits = set(sys.argv[1:])
    paths = StatePaths(os.environ["FAAS_STATE_DIR"])
    with (paths.root / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    if "fails" in traits:
        sys.exit("this gateway cannot live")
    if "never_ready" in traits:
        time.sleep(600)
    lock = paths.lock.open("wb")
    fcntl.flock(lock, fcntl.LOCK_EX)
    paths.socket.unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socketserver.UnixStreamServer(str(paths.socket), Health) as server:
        state = GatewayState(
            pid=os.getpid(),
            socket=str(paths.socket),
            url="http://127.0.0.1:1",
            token=new_token(),
            version="0.0.1" if traits & {"old", "alien"} else VERSION,
            protocol=PROTOCOL_VERSION + (9 if "alien" in traits else 0),
            started_at=time.time(),
        )
        write_state(paths, state)
        os.write(3, b"1")
        os.close(3)
        server.serve_forever()


main()
