"""What comes back from a call: frames into a result, an item or an exception.

No I/O: `invoke`, `invoke_aio` and the iterators read, this module decides. A framed answer is
`LOG* (ITEM* | RESULT | ERROR) END`; without END it was cut and is never taken for complete.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NoReturn, ParamSpec, TypeVar

import msgspec

from jupyter_faas.client.output import BoundOutput, LogWriter
from jupyter_faas.core import errors
from jupyter_faas.wire.frames import CONTENT_TYPE, Frame, FrameKind

P = ParamSpec("P")
R = TypeVar("R")

Body = bytes | bytearray | memoryview

_PACKAGE = __name__.partition(".")[0] + "."
_WHERE = "\nWhere "
_ENDS_A_LOOP = (StopIteration, StopAsyncIteration)
_LOG, _ITEM = int(FrameKind.LOG), int(FrameKind.ITEM)
_RESULT, _ERROR, _END = int(FrameKind.RESULT), int(FrameKind.ERROR), int(FrameKind.END)


class ErrorBody(msgspec.Struct):
    """Body of an ERROR frame."""

    problem: dict[str, Any]
    exception: bytes | None = None
    traceback: str = ""


class Answer:
    """The frames of one call as they arrive.

    Attributes:
        is_ended: END has come: nothing is missing.
        result: Body of RESULT, if it has come.
        error: Body of ERROR, if it has come.
    """

    __slots__ = ("_output", "_writer", "error", "is_ended", "result")

    def __init__(self, output: BoundOutput) -> None:
        self._output = output
        self._writer: LogWriter | None = None
        self.is_ended = False
        self.result: Body | None = None
        self.error: Body | None = None

    def take(self, frame: Frame) -> Body | None:
        """Note one frame; prints go to the output at once. Returns the body of an ITEM."""
        kind = frame[0]
        if kind == _RESULT:
            self.result = frame[1]
        elif kind == _END:
            self.is_ended = True
        elif kind == _LOG:
            self._log(frame)
        elif kind == _ITEM:
            return frame[1]
        elif kind == _ERROR:
            self.error = frame[1]
        return None

    @property
    def is_without_result(self) -> bool:
        """Whether it has ended with neither result nor error: a generator that made no items."""
        return self.is_ended and self.result is None and self.error is None

    def value(self, name: str) -> Any:
        """Return the result, or raise what the function raised.

        Raises:
            GatewayLost: The answer was cut: the code may have run.
            Exception: The function's own, with the remote traceback as a note.
        """
        __tracebackhide__ = True
        if self.error is not None:
            throw(remote_exception(self.error, name))
        if not self.is_ended:
            raise cut(name)
        return None if self.result is None else load(self.result, name)

    def _log(self, frame: Frame) -> None:
        if self._writer is None:
            self._writer = LogWriter(self._output, _read_bundle)
        self._writer.log(frame.stream, frame.body)


def load(body: Body, name: str, item: int | None = None) -> Any:
    """Return the value of a payload; `item`: of a map, which one.

    Raises:
        RemoteError: It cannot be rebuilt here, e.g. its module is missing; the code has run.
    """
    from jupyter_faas.core import codec  # noqa: PLC0415 - cloudpickle, only when something is read

    try:
        return codec.loads(body)
    except Exception as error:
        raise not_rebuilt(error, name, item) from error


def not_rebuilt(reason: Exception, name: str, item: int | None = None) -> errors.RemoteError:
    """Return the error of a result that cannot be rebuilt here; `item`: of a map, which one."""
    of = "" if item is None else f"Item {item}: "
    error = errors.RemoteError(
        f"{of}{name} has run, but its result cannot be rebuilt here: "
        f"{type(reason).__name__}: {reason}"
    )
    error.__cause__ = reason
    return error


def remote_exception(body: Body, name: str, item: int | None = None) -> Exception:
    """Return the exception of an ERROR frame: its own type, the remote traceback as a note.

    What would end this process instead of reporting (SystemExit, KeyboardInterrupt), or of an item
    the loop over the others (StopIteration), and what cannot be rebuilt becomes a `RemoteError`
    with the text.

    Args:
        body: Of the frame.
        name: Of the function.
        item: Of a map: which one; it is named.
    """
    said = msgspec.msgpack.decode(body, type=ErrorBody)
    rebuilt: object = None
    if said.exception is not None:
        try:
            rebuilt = load(said.exception, name)
        except errors.RemoteError:
            rebuilt = None
    of = "" if item is None else f" (item {item})"
    if isinstance(rebuilt, Exception) and not (of and isinstance(rebuilt, _ENDS_A_LOOP)):
        _note(rebuilt, f"{name} raised it{of}", said.traceback)
        return rebuilt
    error = errors.from_problem(_of_item(said.problem, item))
    stack = str(said.problem.get("traceback") or "")  # of a process that is gone
    how = "crashed" if stack else "raised it"
    _note(error, f"{name} {how}{of}", stack or said.traceback)
    return error


def why(body: Body) -> str:
    """Return what an ERROR frame says in a line, without rebuilding anything."""
    said = msgspec.msgpack.decode(body, type=ErrorBody)
    return str(said.problem.get("detail", ""))


def problem_of(status: int, headers: Mapping[str, str], body: bytes) -> errors.FaasError:
    """Return the error of an answer that is no result: its problem document, or what is known."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        text = body[:200].decode("utf-8", "replace")
        return errors.InternalError(f"The gateway answered {status} without a reason: {text}")
    problem.setdefault("status", status)
    if "invocation_id" not in problem and (known := headers.get("faas-invocation-id")):
        problem["invocation_id"] = known
    if "retry_after_s" not in problem and (after := headers.get("retry-after", "")).isdigit():
        problem["retry_after_s"] = int(after)
    return errors.from_problem(problem)


def throw(error: Exception) -> NoReturn:
    """Raise what a function raised: `without_frames` knows it by coming from here."""
    __tracebackhide__ = True
    raise error


def without_frames(error: BaseException) -> None:
    """Take the platform's frames from an error, where they say nothing to its reader.

    That is so for what the function raised, for a reason the platform gives, and for an interrupt;
    an error of our own code keeps them. To be followed by a bare `raise`, which adds no frame.
    """
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    is_told = at is not None and at.tb_frame.f_code is throw.__code__
    if is_told or isinstance(error, (errors.FaasError, KeyboardInterrupt)):
        error.__traceback__ = None


def without_outer_frames(error: BaseException) -> BaseException:
    """Return an error of a person's code without the frames of the platform that called it."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None and _is_ours(at):
        at = at.tb_next
    return error.with_traceback(at)


def _is_ours(at: TracebackType) -> bool:
    return str(at.tb_frame.f_globals.get("__name__")).startswith(_PACKAGE)


def unframed(call: Callable[P, R]) -> Callable[P, R]:
    """Have what a person calls raise `without_frames`; a decorator."""

    @functools.wraps(call)
    def unframed(*args: P.args, **kwargs: P.kwargs) -> R:
        __tracebackhide__ = True
        try:
            return call(*args, **kwargs)
        except BaseException as error:
            without_frames(error)
            raise

    return unframed


def with_load_lines(error: errors.FaasError, name: str) -> errors.FaasError:
    """Return an error with the lines that raised it as a note, if code failed as it was loaded."""
    text = str(error.extra.get("traceback") or "").rstrip()
    if text:
        error.add_note(f"{_WHERE}{name} raised it while it was loaded:\n{text}")
    return error


def is_framed(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether an answer carries frames."""
    return status == 200 and headers.get("content-type") == CONTENT_TYPE


def cut(name: str) -> errors.GatewayLost:
    """Return the error of an answer that stopped in the middle."""
    return errors.GatewayLost(
        f"The answer of {name} was cut in the middle: the gateway or the replica went away. "
        "The code may have run."
    )


def _of_item(problem: dict[str, Any], item: int | None) -> dict[str, Any]:
    """Return what the platform says of an item, with its number."""
    text = str(problem.get("detail", ""))
    if item is None or text.startswith("Item "):
        return problem
    return {**problem, "detail": f"Item {item}: {text}"}


def _note(error: Exception, where: str, text: str) -> None:
    """Add the remote traceback; it repeats those of calls made inside the call, which go."""
    text = text.rstrip()
    if not text:
        return
    notes = getattr(error, "__notes__", ())
    if notes:
        error.__notes__ = [n for n in notes if not (n.startswith(_WHERE) and n.strip() in text)]
    error.add_note(f"{_WHERE}{where}:\n{text}")


def _read_bundle(body: Body) -> dict[str, Any]:
    return msgspec.msgpack.decode(body, type=dict[str, Any])
