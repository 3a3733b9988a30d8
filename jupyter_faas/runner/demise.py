"""Why a worker has ended, in words: what its status, its last words and the kernel say."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from jupyter_faas.execution.failure import OUT_OF_MEMORY
from jupyter_faas.runner.family import describe_status

CRASHED = "crashed"

_MEMORY_WORDS = (b"MemoryError", b"bad_alloc", b"Cannot allocate memory", b"out of memory")
_MORE_MEMORY = "give it more with `memory=`"


def demise(status: int, last_words: bytes, oom_kills: int) -> tuple[str, str]:
    """Return reason (`crashed`, `out_of_memory`) and one sentence.

    Args:
        status: From `waitpid`.
        last_words: The end of what the process wrote to stderr.
        oom_kills: How many processes of this group the kernel has killed for memory meanwhile.
    """
    how = describe_status(status)
    code = os.waitstatus_to_exitcode(status)
    if oom_kills > 0 and code == -signal.SIGKILL:
        text = f"The function's process was ended by the kernel: out of memory; {_MORE_MEMORY}."
        return OUT_OF_MEMORY, text
    if code != 0 and any(word in last_words for word in _MEMORY_WORDS):
        return OUT_OF_MEMORY, f"The function's process ran out of memory and {how}; {_MORE_MEMORY}."
    return CRASHED, f"The function's process {how}."


def oom_kill_count() -> int:
    """Return how many processes of this control group the kernel has killed for memory."""
    with suppress(OSError, ValueError, IndexError):
        group = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2]
        events = Path(f"/sys/fs/cgroup{group}/memory.events").read_text()
        return int(events.partition("oom_kill ")[2].split()[0])
    return 0
