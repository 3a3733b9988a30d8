"""A zygote on the real control wire whose replicas only listen; it misbehaves when told to.

`python fake_zygote.py CONTROL_FD [trait …]`: `dies` before it is ready, `dies_at_birth` when the
first replica is asked for, `dies_once=FILE` too but never again, `lacks_the_package`; it is
`deaf` to stop. It can import every module but `unloadable`.
"""

from __future__ import annotations

import os
import platform
import signal
import socket
import sys
import time

import msgspec


class FakeZygote:
    def __init__(self, control: socket.socket, traits: set[str]) -> None:
        self.control = control
        self.traits = traits
        self.children: dict[str, int] = {}

    def run(self) -> None:
        self.say(ev="ready", pid=os.getpid(), python=platform.python_version())
        while message := self.control.recv(1 << 20):
            order = msgspec.msgpack.decode(message)
            getattr(self, f"on_{order.pop('op')}")(**order)
        for pid in self.children.values():
            os.kill(pid, signal.SIGKILL)

    def say(self, **event: object) -> None:
        self.control.send(msgspec.msgpack.encode(event))

    def on_replica(self, id: str, socket: str, spare: bool) -> None:
        if once := next((trait for trait in self.traits if trait.startswith("dies_once=")), ""):
            path = once.partition("=")[2]
            if not os.path.exists(path):
                open(path, "w").close()
                os._exit(5)
        if "dies_at_birth" in self.traits:
            print("died at a birth", file=sys.stderr)
            os._exit(4)
        self.children[id] = pid = give_birth(self.control, socket)
        self.say(ev="started", id=id, pid=pid)

    def on_stop(self, id: str, grace_s: float) -> None:
        if "deaf" in self.traits:
            return
        pid = self.children.pop(id)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.say(ev="gone", id=id, reason="stopped", detail="")

    def on_preload(self, modules: list[str]) -> None:
        for module in modules:
            is_good = module != "unloadable"
            self.say(ev="preload", module=module, ok=is_good, detail="", ms=1.0)


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


def main() -> None:
    traits = set(sys.argv[2:])
    if "dies" in traits:
        sys.exit("this zygote cannot live")
    if "lacks_the_package" in traits:
        sys.exit("No module named 'jupyter_faas'")
    FakeZygote(socket.socket(fileno=int(sys.argv[1])), traits).run()


main()
