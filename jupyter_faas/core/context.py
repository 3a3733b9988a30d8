"""Which invocation the running code belongs to: set by execution, read by nested calls.

A context variable, so that each thread and task sees its own. A client inside a function reads it
to pass on the remaining deadline, the depth and the trace. Holds no user objects.
"""

from __future__ import annotations

from contextvars import ContextVar

from jupyter_faas.core.model import Value

REPLICA_VARIABLE = "FAAS_REPLICA"
"""Environment variable that names the replica a process belongs to; unset everywhere else."""


class Invocation(Value):
    """The invocation that is running here."""

    id: str
    deadline: float | None = None
    """Monotonic seconds (`time.monotonic`) at which it is ended; None: no limit."""
    depth: int = 0
    """How many calls lead to this one; 0 was called by a person or a program outside."""
    ancestry: str = ""
    """Ids of the invocations this one is made in, the nearest first, comma between."""
    trace: str = ""
    """`traceparent` of the caller (W3C Trace Context), empty without one."""


current: ContextVar[Invocation | None] = ContextVar("jupyter_faas_invocation", default=None)
"""None outside any invocation: in a notebook, or between calls."""
