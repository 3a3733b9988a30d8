"""What a Python interpreter of this machine is: its version and search path.

The gateway's own is known; another is asked once, in a process of its own. Whether it can run
replicas at all is not judged here: its zygote says that best.
"""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from jupyter_faas.core.errors import ProviderError

_ASK = "import json, sys; print(json.dumps([sys.version.split()[0], sys.path]))"
_ASK_TIMEOUT_S = 20.0


class Interpreter(msgspec.Struct, frozen=True):
    """One Python environment, as far as it is known without importing anything."""

    path: str
    version: str
    """Full version, e.g. `3.11.7`."""
    sys_path: tuple[str, ...]

    @property
    def minor(self) -> str:
        """`3.11` of `3.11.7`."""
        return ".".join(self.version.split(".")[:2])


def own_interpreter() -> Interpreter:
    """Return the interpreter this process runs on."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Interpreter(sys.executable, version, tuple(entry for entry in sys.path if entry))


def is_same_environment(one: str, other: str) -> bool:
    """Return whether two paths name one interpreter of one environment.

    `python` and `python3` of a virtual environment are; the `python` of two virtual environments
    are not, though both may be links to the same file.
    """
    if one == other:
        return True
    same_place = os.path.realpath(os.path.dirname(one)) == os.path.realpath(os.path.dirname(other))
    return same_place and os.path.realpath(one) == os.path.realpath(other)


async def ask_interpreter(path: str) -> Interpreter:
    """Return what an interpreter says of itself.

    Raises:
        ProviderError: It cannot be executed, or does not answer in time.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            "-P",
            "-c",
            _ASK,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise ProviderError(
            f"Python at {path} cannot be started: {error.strerror}. "
            "Is the environment of the notebook's kernel still there?"
        ) from error
    try:
        out, err = await asyncio.wait_for(process.communicate(), _ASK_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ProviderError(f"Python at {path} did not answer for {_ASK_TIMEOUT_S:g} s.") from None
    if process.returncode != 0:
        raise ProviderError(
            f"Python at {path} does not work: {err.decode(errors='replace')[-500:]}"
        )
    version, sys_path = msgspec.json.decode(out, type=tuple[str, tuple[str, ...]])
    return Interpreter(path, version, tuple(entry for entry in sys_path if entry))
