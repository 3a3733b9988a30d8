"""`python -m jupyter_faas.fanout.ray.host`: the process that owns Ray, for one driver.

It runs in the interpreter of the replicas, because Ray's workers do. It starts Ray, places one
seat per CPU, and opens and closes replicas as its driver says; calls do not pass through here.
Never `ray stop`: what it has started ends with it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from jupyter_faas.fanout.ray.seat import Seat
from jupyter_faas.fanout.ray.words import Close, Event, Failed, HostStart, Open, Opened, Order, Up

LEAST_STORE_BYTES = 80 << 20
"""Ray refuses an object store below 75 MiB; nothing of a map lies in it on one machine."""
_SEAT_S = 60.0
_TRIES = 3
_SCRATCH = "faas-ray-"
_QUICK = {
    # A raylet that asks before its head listens sleeps a whole second by default.
    "raylet_client_connect_timeout_milliseconds": 50,
    "raylet_client_num_connect_attempts": 400,
}
_orders = msgspec.json.Decoder(Order)


def main() -> int:
    """Be a host until standard input ends; returns the exit code."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever Ray prints goes to the log
    start = msgspec.json.decode(sys.stdin.buffer.readline(), type=HostStart)
    host = Host(start, out)
    if not host.start():
        return 1
    try:
        for line in sys.stdin.buffer:
            host.obey(_orders.decode(line))
    finally:
        host.end()
    return 0


class Host:
    """Ray, and the seats on it.

    Args:
        start: How Ray is to be started.
        out: Where events go.
    """

    def __init__(self, start: HostStart, out: BinaryIO) -> None:
        self._start = start
        self._out = out
        self._lock = threading.Lock()
        self._seats: dict[int, Any] = {}
        self._ray: Any = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> bool:
        """Start Ray and place the seats; False: it could not be, and was said."""
        began_s = time.monotonic()
        try:
            self._start_ray()
            count = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
            for seat in range(count):
                self._seats[seat] = self._place()
        except ImportError:
            self._say(
                Failed(
                    why="Ray is not installed where the function runs: "
                    "`pip install 'jupyter_faas[ray]'` in the notebook's environment."
                )
            )
            return False
        except Exception as error:
            text = " ".join(str(error).split())[:300]
            self._say(Failed(why=f"Ray does not start: {type(error).__name__}: {text}"))
            self.end()
            return False
        took_s = time.monotonic() - began_s
        self._say(Up(seats=count, took_s=took_s, version=self._ray.__version__))
        return True

    def obey(self, order: Order) -> None:
        """Do what the driver says; the answer comes when it is done."""
        seat = self._seats.get(order.seat)
        if isinstance(order, Close):
            if seat is not None:
                seat.close.remote(order.replica)
            return
        if seat is None:
            self._say(Opened(seat=order.seat, replica=order.replica, why="There is no such seat."))
            return
        threading.Thread(target=self._open, args=(seat, order), daemon=True).start()

    def end(self) -> None:
        """End the seats, and Ray if it is ours."""
        if self._ray is not None:
            for seat in self._seats.values():
                self._ray.kill(seat)
            self._ray.shutdown()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _open(self, seat: Any, order: Open) -> None:
        why = ""
        try:
            self._ray.get(seat.open.remote(order.replica, order.socket), timeout=_SEAT_S)
        except self._ray.exceptions.RayActorError:
            why = self._open_anew(order)
        except Exception as error:
            why = " ".join(str(error).split())[-300:]
        self._say(Opened(seat=order.seat, replica=order.replica, why=why))

    def _open_anew(self, order: Open) -> str:
        """The seat is gone, or its node: place another, and open there."""
        try:
            seat = self._seats[order.seat] = self._place()
            self._ray.get(seat.open.remote(order.replica, order.socket), timeout=_SEAT_S)
        except Exception as error:
            return " ".join(str(error).split())[-300:]
        return ""

    def _start_ray(self) -> None:
        start = self._start
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray spells it like this
        os.environ["PYTHONPATH"] = os.pathsep.join(
            part for part in (_blocked(), os.environ.get("PYTHONPATH", "")) if part
        )
        sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # - see blocked/
        if not start.address:
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN"] = start.token or secrets.token_hex(16)
        import ray  # noqa: PLC0415 - half a second, and may be missing

        self._ray = ray
        if start.address:
            ray.init(address=start.address, log_to_driver=False, logging_level="warning")
            return
        for tries_left in range(_TRIES - 1, -1, -1):
            try:
                self._start_own(ray)
            except Exception:
                # Ray gives its first node 30 s, which a busy machine may need for something else.
                ray.shutdown()
                if not tries_left:
                    raise
            else:
                return

    def _start_own(self, ray: Any) -> None:
        start = self._start
        # Ray's own sockets lie in here: their paths must be short.
        _sweep()
        prefix = f"{_SCRATCH}{os.getpid()}-"
        self._scratch = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
        ray.init(
            num_cpus=start.cpus or None,
            object_store_memory=start.memory_bytes or LEAST_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="warning",
            _temp_dir=self._scratch.name,
            _system_config=_QUICK,
        )

    def _place(self) -> Any:
        options = {"num_cpus": 1, "max_restarts": 0}
        actor = self._ray.remote(**options)(Seat)
        return actor.remote(self._start.environ)

    def _say(self, event: Event) -> None:
        with self._lock:
            self._out.write(msgspec.json.encode(event) + b"\n")


def _sweep() -> None:
    """Remove what hosts have left that were killed: it is of no use to anybody."""
    for left in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*-*"):
        pid = left.name.removeprefix(_SCRATCH).partition("-")[0]
        if (
            pid.isdigit()
            and not Path(f"/proc/{pid}").exists()
            and left.stat().st_uid == os.getuid()
        ):
            shutil.rmtree(left, ignore_errors=True)


def _blocked() -> str:
    return str(Path(__file__).parent / "blocked")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
