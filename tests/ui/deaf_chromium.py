#!/usr/bin/env python3
"""Chromium that does not hear of the machine's network interfaces; takes Chromium's arguments.

Whenever an address comes or goes on the machine (a container starts somewhere), Chromium cuts what
it is loading, also from the loopback: ERR_NETWORK_CHANGED. It hears of addresses by a netlink
socket, and takes the network for steady where it gets none. So this process, and with it the
browser that it becomes, can open none: a filter of system calls answers that there are none.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys

SOCKET_CALL = {"x86_64": 41, "aarch64": 198}
AF_NETLINK = 16
EAFNOSUPPORT = 97

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_LOAD, _SKIP_UNLESS_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL_WITH = 0x7FFF0000, 0x00050000
_NUMBER, _FIRST_ARGUMENT = 0, 16
"""Where the call's number and its first argument lie in what the filter is given."""


class _Instruction(ctypes.Structure):
    _fields_ = [
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    ]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction))]


def be_deaf(socket_call: int) -> bool:
    """Refuse netlink sockets from now on, to all that this process becomes; False: not possible."""
    instructions = (_Instruction * 6)(
        (_LOAD, 0, 0, _NUMBER),
        (_SKIP_UNLESS_EQUAL, 0, 3, socket_call),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_SKIP_UNLESS_EQUAL, 0, 1, AF_NETLINK),
        (_RETURN, 0, 0, _FAIL_WITH | EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    )
    program = _Program(len(instructions), instructions)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program)) == 0)


if __name__ == "__main__":
    call = SOCKET_CALL.get(platform.machine())
    if call is None or not be_deaf(call):
        print("a network that changes will cut what Chromium loads", file=sys.stderr)
    browser = os.environ["FAAS_CHROMIUM"]
    os.execv(browser, [browser, *sys.argv[1:]])
