"""JSON in and out: how plain HTTP callers' bodies become arguments, and results JSON.

An object is keyword arguments, an array positional ones, anything else one argument. Results:
what JSON has, and dataclasses, enums, dates and times, UUIDs, decimals, sets, paths, bytes
(base64), numpy scalars and arrays, pandas Series and DataFrames (as records). NaN and the
infinities, which JSON has not, become null. numpy and pandas are never imported here: a result of
theirs means that they are loaded.
"""

from __future__ import annotations

import datetime
import enum
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from jupyter_faas.core.errors import BadRequest, ResultNotJson

Buffer = bytes | bytearray | memoryview

_JSON_TYPES = ("", "application/json", "application/x-www-form-urlencoded", "text/json")
_MAX_DEPTH = 200
_MOST_SHAPES = 64
"""Kept of a function that takes any names: they are the callers' to choose."""
_SAFE = (str, int, bool, type(None))


def signature_of(target: Callable[..., Any]) -> inspect.Signature | None:
    """Return the signature of a function; None if it cannot be told."""
    try:
        return inspect.signature(target)
    except (TypeError, ValueError):
        return None


class Binder:
    """Makes arguments of the bodies of one function's calls that have one content type.

    What it finds out it keeps: looking through the signature costs more than a small call. Whether
    arguments fit is a matter of how many come by position and which by name, not of their values.

    Args:
        signature: Of the function; None: anything is taken.
        content_type: Of the requests; empty if they have none.
        enums: Parameters that take a member of an enumeration: its value or name comes.
    """

    def __init__(
        self,
        signature: inspect.Signature | None,
        content_type: str,
        enums: Mapping[str, type[enum.Enum]] | None = None,
    ) -> None:
        self._signature = signature
        self._enums = {} if signature is None else dict(enums or {})
        self._kind = content_type.partition(";")[0].strip().lower()
        raw = _raw_parameter(signature)
        self._raw = None if self._kind in ("application/json", "text/json") else raw
        self._is_json = self._kind in _JSON_TYPES or self._kind.endswith("+json")
        self._fitting: set[tuple[int, tuple[str, ...]]] = set()
        # Names that the caller makes up are not kept: they may be many, and long.
        self._learns = signature is not None and all(
            one.kind is not one.VAR_KEYWORD for one in signature.parameters.values()
        )

    def bind(self, body: Buffer) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return positional and keyword arguments for a body; an empty one: no arguments.

        Raises:
            BadRequest: It is no JSON (names the position), or no arguments for this function
                (names the parameter).
        """
        if self._raw is not None:
            return _as_bytes(self._raw, bytes(body))
        if not self._is_json:
            raise BadRequest(
                f"Content-Type {self._kind!r} cannot be read: send JSON, or annotate the "
                "function's one parameter with `bytes` to get the body as it is."
            )
        args, kwargs = _arguments(_decode(body)) if len(body) else ((), {})
        shape = (len(args), tuple(kwargs))
        if shape not in self._fitting:
            _check(self._signature, args, kwargs)
            if self._learns and len(self._fitting) < _MOST_SHAPES:
                self._fitting.add(shape)
        return self._with_members(args, kwargs) if self._enums else (args, kwargs)

    def _with_members(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        assert self._signature is not None
        enums, names = self._enums, list(self._signature.parameters)[: len(args)]
        members = tuple(
            _member(enums[name], name, value) if name in enums else value
            for name, value in zip(names, args, strict=False)
        )
        by_name = {
            name: _member(enums[name], name, value) if name in enums else value
            for name, value in kwargs.items()
        }
        return (*members, *args[len(names) :]), by_name


def encode_result(value: Any) -> bytes:
    """Return a result as JSON.

    Raises:
        ResultNotJson: Something in it has no JSON form; names the path to it.
    """
    try:
        return msgspec.json.encode(value, enc_hook=_hook)
    except (TypeError, ValueError, OverflowError, RecursionError, NotImplementedError):
        # Slower, but it knows some more types, and the path to what has no form.
        return _encode_carefully(value)


def _encode_carefully(value: Any) -> bytes:
    try:
        return msgspec.json.encode(_plain(value, "result", 0))
    except RecursionError:
        raise ResultNotJson("result is nested too deeply, or contains itself.") from None


def _hook(value: Any) -> Any:
    library = _of_library(value)
    if library is not None:
        return library(value)
    if isinstance(value, PurePath):
        return str(value)
    return _refuse(value)


def _raw_parameter(signature: inspect.Signature | None) -> inspect.Parameter | None:
    if signature is None or len(signature.parameters) != 1:
        return None
    (parameter,) = signature.parameters.values()
    is_bytes = _annotation(parameter) in (bytes, "bytes", bytearray, "bytearray")
    is_single = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter if is_bytes and is_single else None


def _annotation(parameter: inspect.Parameter) -> Any:
    """Return an annotation; a quoted one under `from __future__ import annotations` unquoted."""
    found = parameter.annotation
    return found.strip("'\"") if isinstance(found, str) else found


def _as_bytes(parameter: inspect.Parameter, body: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
    value = bytearray(body) if _annotation(parameter) in (bytearray, "bytearray") else body
    if parameter.kind is parameter.KEYWORD_ONLY:
        return (), {parameter.name: value}
    return (value,), {}


def _decode(body: Buffer) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadRequest(f"The body is no JSON: {exc}.") from exc


def _arguments(value: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(value, dict):
        return (), value
    if isinstance(value, list):
        return tuple(value), {}
    return (value,), {}


def _member(members: type[enum.Enum], name: str, value: Any) -> Any:
    """Return the member of a value, or of its name; None stays: the function may take it."""
    if value is None:
        return None
    try:
        return members(value)
    except ValueError:
        if isinstance(value, str) and value in members.__members__:
            return members[value]
    allowed = ", ".join(repr(member.value) for member in members)
    raise BadRequest(f"{name}={value!r}: allowed is one of {allowed[:500]}.")


def _check(
    signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    if signature is None:
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as exc:
        wanted = f"It takes {signature}." if signature.parameters else "It takes no arguments."
        raise BadRequest(f"Wrong arguments: {exc}. {wanted}") from exc


def _plain(value: Any, path: str, depth: int) -> Any:
    """Return `value` in terms of what JSON has."""
    kind = type(value)
    if kind in _SAFE:
        return value
    if kind is float:
        return value if -sys.float_info.max <= value <= sys.float_info.max else None
    if depth > _MAX_DEPTH:
        raise ResultNotJson(f"{path[:200]} is nested too deeply, or contains itself.")
    if isinstance(value, Mapping):
        return {
            _key(key, path): _plain(v, f"{path}[{key!r}]", depth + 1) for key, v in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return _items(value, path, depth)
    return _special(value, path, depth)


def _items(values: Iterable[Any], path: str, depth: int) -> list[Any]:
    return [_plain(value, f"{path}[{at}]", depth + 1) for at, value in enumerate(values)]


def _special(value: Any, path: str, depth: int) -> Any:
    if isinstance(value, enum.Enum):
        return _plain(value.value, path, depth + 1)
    if hasattr(type(value), "__dataclass_fields__"):
        return _fields(value, path, depth)
    library = _of_library(value)
    if library is not None:
        return _plain(library(value), path, depth + 1)
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, str | bool | int | float):
        return _plain(_base_value(value), path, depth + 1)
    try:
        return msgspec.to_builtins(value, builtin_types=(datetime.timedelta,), enc_hook=_refuse)
    except (TypeError, ValueError, OverflowError, NotImplementedError):
        raise ResultNotJson(
            f"{path} is of type {type(value).__qualname__}, which has no JSON form: return plain "
            "values, or call it from Python."
        ) from None


def _fields(value: Any, path: str, depth: int) -> dict[str, Any]:
    return {
        name: _plain(getattr(value, name), f"{path}.{name}", depth + 1)
        for name in type(value).__dataclass_fields__
        if hasattr(value, name)
    }


def _base_value(value: str | bool | int | float) -> Any:
    for base in (str, int, float):
        if isinstance(value, base):
            return base(value)
    return value


def _refuse(value: Any) -> Any:
    raise NotImplementedError(type(value).__qualname__)


def _key(key: Any, path: str) -> str:
    if type(key) is str:
        return key
    plain = _plain(key, f"a key of {path}", 0)
    if isinstance(plain, str):
        return plain
    if plain is None or isinstance(plain, bool | int | float):
        return str(msgspec.json.encode(plain), "ascii")
    raise ResultNotJson(f"{path} has a key of type {type(key).__qualname__}; JSON keys are text.")


def _of_library(value: Any) -> Callable[[Any], Any] | None:
    """Return what makes plain values of a numpy or pandas object."""
    found = None
    if "pandas" in sys.modules:
        found = _of_pandas(value, sys.modules["pandas"])
    if found is None and "numpy" in sys.modules:
        found = _of_numpy(value, sys.modules["numpy"])
    return found


def _of_pandas(value: Any, pandas: Any) -> Callable[[Any], Any] | None:
    if isinstance(value, pandas.DataFrame):
        return _records
    if isinstance(value, pandas.Series | pandas.Index):
        return _values
    if value is pandas.NaT or value is pandas.NA:
        return _none
    is_time = isinstance(value, pandas.Timestamp | pandas.Timedelta)
    return _isoformat if is_time else None


def _of_numpy(value: Any, numpy: Any) -> Callable[[Any], Any] | None:
    if isinstance(value, numpy.datetime64 | numpy.timedelta64):
        return _numpy_time
    if isinstance(value, numpy.ndarray):
        return _array
    return _scalar if isinstance(value, numpy.generic) else None


def _records(frame: Any) -> list[dict[str, Any]]:
    columns = [str(column) for column in frame.columns]
    values = [_values(frame.iloc[:, at]) for at in range(len(columns))]
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _values(series: Any) -> list[Any]:
    return list(series.tolist())


def _none(_value: Any) -> None:
    return None


def _isoformat(value: Any) -> str:
    return str(value.isoformat())


def _numpy_time(value: Any) -> str | None:
    text = str(value)
    return None if text == "NaT" else text


def _array(array: Any) -> Any:
    return [_numpy_time(item) for item in array] if array.dtype.kind in "mM" else array.tolist()


def _scalar(value: Any) -> Any:
    return value.item()
