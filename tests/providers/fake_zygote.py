"""A zygote on the real control wire whose replicas only listen; it misbehaves when told to.

`python fake_zygote.py CONTROL_FD [trait …]`: `dies` before it is ready, `dies_at_birth` when the
first replica is asked for, `deaf` to stop. Preloaded modules are ignored.
"""

from __future__ import annotations

import os
import platform
import signal
import socket
import sys
import time

import msgspec


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    traits = set(sys.argv[2:])
    if "dies" in traits:
        print("this zygote cannot live", file=sys.stderr)
        sys.exit(3)
    if "lacks_the_package" in traits:
        sys.exit("No module named 'jupyter_faas'")
    children: dict[str, int] = {}

    def say(**event: object) -> None:
        control.send(msgspec.msgpack.encode(event))

    say(ev="ready", pid=os.getpid(), python=platform.python_version())
    while message := control.recv(1 << 20):
        order = msgspec.msgpack.decode(message)
        if order["op"] == "replica":
            if "dies_at_birth" in traits:
                print("died at a birth", file=sys.stderr)
                os._exit(4)
            children[order["id"]] = pid = give_birth(control, order["socket"])
            say(ev="started", id=order["id"], pid=pid)
        elif order["op"] == "stop" and "deaf" not in traits:
            pid = children.pop(order["id"])
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            say(ev="gone", id=order["id"], reason="stopped", detail="")
        elif order["op"] == "preload":
            for module in order["modules"]:
                say(ev="preload", module=module, ok=module != "unloadable", detail="", ms=1.0)
    for pid in children.values():
        os.kill(pid, signal.SIGKILL)


def give_birth(control: socket.socket, path: str) -> int:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    zygote = os.getpid()
    if (pid := os.fork()) == 0:
        control.close()
        while os.getppid() == zygote:
            time.sleep(0.01)
        os._exit(0)
    listener.close()
    return pid


main()
