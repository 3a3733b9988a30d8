"""What became of a call that failed, as the caller will read it.

A `Fault` is the body of an ERROR frame: the problem document for everybody, the pickled exception
for a Python caller, the traceback as text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from jupyter_faas.core.errors import (
    FaasError,
    MissingPackages,
    RemoteError,
    ReplicaLost,
    to_problem,
)
from jupyter_faas.execution.traceback import one_line, remote_traceback

OUT_OF_MEMORY = "out_of_memory"
MAX_DETAIL = 2000

DumpException = Callable[[BaseException], bytes | None]


class Fault(msgspec.Struct):
    """Why a call failed (msgpack, the body of ERROR)."""

    problem: dict[str, Any]
    exception: bytes | None = None
    """Payload of the exception itself; None if it has no form that can be rebuilt."""
    traceback: str = ""
    """Frames of the function's author only, with source lines."""


def platform_fault(error: FaasError) -> Fault:
    """Return the fault for an error that the platform found itself: it travels as its problem."""
    return Fault(to_problem(error))


def user_fault(error: BaseException, dump: DumpException) -> Fault:
    """Return the fault for what user code raised.

    SystemExit, KeyboardInterrupt and the like are told by text only: raised again in the caller's
    process they would end it.
    """
    if isinstance(error, MemoryError):
        return memory_fault(error)
    text = remote_traceback(error)
    problem = to_problem(RemoteError(_short(one_line(error)), exception=type(error).__name__))
    payload = dump(error) if isinstance(error, Exception) else None
    return Fault(problem, payload, text)


def memory_fault(error: MemoryError) -> Fault:
    """Return the fault for a function that wanted more memory than it may have."""
    detail = "The function needs more memory than it has; give it more with `memory=`."
    if str(error):
        detail = f"{detail} ({_short(one_line(error))})"
    lost = ReplicaLost(detail, reason=OUT_OF_MEMORY)
    return Fault(to_problem(lost), None, remote_traceback(error))


def unreadable_arguments(error: BaseException, dump: DumpException) -> Fault:
    """Return the fault for arguments that cannot be rebuilt here; the function did not run."""
    if isinstance(error, FaasError):
        return platform_fault(error)
    if isinstance(error, ModuleNotFoundError):
        detail = f"An argument needs a module that the runner does not have: {error}."
        return platform_fault(MissingPackages(detail))
    return user_fault(error, dump)


def _short(text: str) -> str:
    return text if len(text) <= MAX_DETAIL else text[:MAX_DETAIL] + " …"
