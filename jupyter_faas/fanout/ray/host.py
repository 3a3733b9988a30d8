"""`python -m jupyter_faas.fanout.ray.host`: the process that owns Ray's seats.

As a driver's child it serves that driver on its pipes, in the interpreter of the replicas, because
Ray's workers run there; it starts Ray, or joins the cluster it is told of. With `--listen` it is
beside the head of a cluster and serves all drivers that show the token; see `listening.py`. It
places one seat per CPU, and opens and closes replicas as drivers say; calls do not pass through
here. Never `ray stop`: what it has started ends with it.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial

import msgspec

from jupyter_faas.fanout.ray import listening
from jupyter_faas.fanout.ray.cluster import LOOK_S, RayCluster
from jupyter_faas.fanout.ray.line import Line
from jupyter_faas.fanout.ray.words import Failed, HostStart, Seats

_FIRST_S = 60.0
"""So long a cluster that is named has for its first seat."""


def main(argv: Sequence[str] | None = None) -> int:
    """Be a host until there is nobody to serve; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m jupyter_faas.fanout.ray.host")
    parser.add_argument("--listen", default="", help="HOST:PORT for drivers; else standard input")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    if options.listen:
        return listening.serve(options.listen, os.environ)
    return _serve_parent()


def _serve_parent() -> int:
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever Ray prints goes to the log
    start = msgspec.json.decode(sys.stdin.buffer.readline(), type=HostStart)
    cluster = RayCluster(start)
    line = Line(cluster, out)
    began_s = time.monotonic()
    try:
        why = cluster.try_to_begin() or _first_seat(cluster)
        if why:
            line.say(Failed(why=why))
            return 1
        line.say(cluster.up(time.monotonic() - began_s))
        # A Ray that others started may come back; one of our own is ended and begun again.
        watch = partial(_look, cluster, line) if start.address else partial(cluster.watch, _fall)
        threading.Thread(target=watch, daemon=True).start()
        for said in sys.stdin.buffer:
            line.obey(said)
    finally:
        cluster.end()
    return 0


def _first_seat(cluster: RayCluster) -> str:
    """Wait for a seat; returns why there is none, as a sentence."""
    give_up_s = time.monotonic() + _FIRST_S
    while not cluster.numbers:
        cluster.look()
        if cluster.trouble:
            return f"No seat starts on Ray's nodes: {cluster.trouble}"
        if time.monotonic() > give_up_s:
            return f"Ray's cluster has had no free CPU for {_FIRST_S:.0f} s."
        time.sleep(0.05)
    return ""


def _fall() -> None:
    """Ray has died: the driver hears it by the end of this process, and may start another."""
    logging.error("Ray has died: its head or its node was ended from outside")
    os._exit(1)


def _look(cluster: RayCluster, line: Line) -> None:
    while True:
        time.sleep(LOOK_S)
        if cluster.look():
            line.say(Seats(seats=cluster.numbers))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
