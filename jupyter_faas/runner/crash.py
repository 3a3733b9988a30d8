"""What a worker's crash leaves: Python's dump of where each thread was (`faulthandler`). Pure.

The dump is written to memory of its own, which the front reads when the worker is gone. It is long,
and the same at each try: the function's log has it; the caller is told where its own code was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from jupyter_faas.execution.traceback import PLATFORM_FOLDER

MAX_BYTES = 64 << 10
_CURRENT = "Current thread "
_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+|\?\?\?) in (?P<name>.*)$')


def stack_of(dump: str) -> str:
    """Return the frames of the thread that crashed as a traceback has them; empty: not known."""
    frames = list(_frames(dump))
    if not frames:
        return ""
    return "\n".join(["Traceback (most recent call last):", *reversed(frames)])


def _frames(dump: str) -> Iterator[str]:
    """Yield its frames, newest first, without the platform's and those that start a program."""
    _, _, thread = dump.partition(_CURRENT)
    for line in thread.splitlines()[1:]:
        found = _FRAME.match(line)
        if found is None:
            if line.startswith("  "):
                continue  # "  ...": more than it tells
            return
        file = found["file"]
        if not file.startswith((PLATFORM_FOLDER, "<frozen ")):
            yield f'  File "{file}", line {found["line"]}, in {found["name"]}'
