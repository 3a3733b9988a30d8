"""A process on two pipes: it speaks, ends when its input does, and else is ended."""

from __future__ import annotations

import os
import signal
import sys

import pytest
import uvloop

from jupyter_faas.wire.child import start_child, tell

ECHO = "import sys; [print(line, end='', flush=True) for line in sys.stdin]"
DEAF = "import time; print('ready', flush=True); time.sleep(600)"


async def test_it_hears_and_says_lines_and_ends_with_its_input() -> None:
    child = await start_child([sys.executable, "-c", ECHO], os.environ)
    child.writer.write(b"a line\n")
    assert await child.reader.readline() == b"a line\n"
    assert child.pid
    assert await child.close(60.0) == 0
    assert child.pid is None
    assert await child.close(60.0) == 0, "again is nothing more"


async def test_one_that_does_not_end_with_its_input_is_killed() -> None:
    child = await start_child([sys.executable, "-c", DEAF], os.environ)
    assert await child.reader.readline() == b"ready\n"
    assert await child.close(0.0) == -signal.SIGKILL


async def test_what_cannot_be_started_says_so() -> None:
    with pytest.raises(FileNotFoundError):
        await start_child(["/nowhere/python"], {})


def test_one_that_has_ended_may_be_told_something() -> None:
    async def told() -> tuple[int, bytes]:
        child = await start_child([sys.executable, "-c", "pass"], os.environ)
        said, code = await child.reader.read(), await child.wait()
        await child.writer.wait_closed()
        tell(child.writer, b"a line\n")
        return code, said

    assert uvloop.run(told()) == (0, b"")
