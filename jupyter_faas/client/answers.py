"""What comes back from a call: frames into a result, an item or an exception.

No I/O: `invoke`, `invoke_aio` and the iterators read, this module decides. A framed answer is
`LOG* (ITEM* | RESULT | ERROR) END`; without END it was cut and is never taken for complete.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import msgspec

from jupyter_faas.client.output import BoundOutput, LogWriter
from jupyter_faas.core import errors
from jupyter_faas.wire.frames import CONTENT_TYPE, Frame, FrameKind

P = ParamSpec("P")
R = TypeVar("R")

Body = bytes | bytearray | memoryview

_WHERE = "\nWhere "
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
            raise remote_exception(self.error, name)
        if not self.is_ended:
            raise cut(name)
        return None if self.result is None else load(self.result, name)

    def _log(self, frame: Frame) -> None:
        if self._writer is None:
            self._writer = LogWriter(self._output, _read_bundle)
        self._writer.log(frame.stream, frame.body)


def load(body: Body, name: str) -> Any:
    """Return the value of a payload.

    Raises:
        RemoteError: It cannot be rebuilt here, e.g. its module is missing; the code has run.
    """
    from jupyter_faas.core import codec  # noqa: PLC0415 - cloudpickle, only when something is read

    try:
        return codec.loads(body)
    except Exception as error:
        raise errors.RemoteError(
            f"{name} has run, but its result cannot be rebuilt here: "
            f"{type(error).__name__}: {error}"
        ) from error


def remote_exception(body: Body, name: str) -> Exception:
    """Return the exception of an ERROR frame: its own type, the remote traceback as a note.

    What would end this process instead of reporting (SystemExit, KeyboardInterrupt) and what
    cannot be rebuilt becomes a `RemoteError` with the text.
    """
    said = msgspec.msgpack.decode(body, type=ErrorBody)
    rebuilt: object = None
    if said.exception is not None:
        try:
            rebuilt = load(said.exception, name)
        except errors.RemoteError:
            rebuilt = None
    error = rebuilt if isinstance(rebuilt, Exception) else errors.from_problem(said.problem)
    if said.traceback:
        _note(error, name, said.traceback.rstrip())
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


def without_frames(error: BaseException) -> None:
    """Take the platform's frames from an error, where they say nothing to its reader.

    That is so for what the function raised, for a reason the platform gives, and for an interrupt;
    an error of our own code keeps them. To be followed by a bare `raise`, which adds no frame.
    """
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    is_told = at is not None and at.tb_frame.f_code is Answer.value.__code__
    if is_told or isinstance(error, (errors.FaasError, KeyboardInterrupt)):
        error.__traceback__ = None


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


def _note(error: Exception, name: str, text: str) -> None:
    """Add the remote traceback; it repeats those of calls made inside the call, which go."""
    notes = getattr(error, "__notes__", ())
    if notes:
        error.__notes__ = [n for n in notes if not (n.startswith(_WHERE) and n.strip() in text)]
    error.add_note(f"{_WHERE}{name} raised it:\n{text}")


def _read_bundle(body: Body) -> dict[str, Any]:
    return msgspec.msgpack.decode(body, type=dict[str, Any])
