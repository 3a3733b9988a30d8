"""Tracebacks as the author of the function wants them: their frames only, with source lines."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator

PLATFORM_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
"""Frames of files in here are the platform's own."""

MAX_TEXT = 64 << 10
"""Longest traceback text sent, in characters; a recursion error is long enough."""


def remote_traceback(error: BaseException) -> str:
    """Return the traceback of `error` and of its causes, without the platform's frames."""
    told = traceback.TracebackException.from_exception(error, compact=True)
    for part in _chain(told):
        part.stack = traceback.StackSummary.from_list(
            [frame for frame in part.stack if not frame.filename.startswith(PLATFORM_FOLDER)]
        )
    text = "".join(told.format())
    if len(text) > MAX_TEXT:
        half = MAX_TEXT // 2
        text = f"{text[:half]}\n  [… {len(text) - MAX_TEXT:,} characters …]\n{text[-half:]}"
    return text


def one_line(error: BaseException) -> str:
    """Return `ValueError: text`, as the last line of a traceback has it."""
    lines = traceback.format_exception_only(type(error), error)
    return "".join(lines).strip() if lines else type(error).__name__


def _chain(
    told: traceback.TracebackException, seen: set[int] | None = None
) -> Iterator[traceback.TracebackException]:
    seen = set() if seen is None else seen
    if id(told) in seen:
        return
    seen.add(id(told))
    yield told
    for linked in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        if linked is not None:
            yield from _chain(linked, seen)
