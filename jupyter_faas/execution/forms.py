"""The two forms of a call: framed pickles for Python clients, JSON for everybody else."""

from __future__ import annotations

from typing import Any

from jupyter_faas.core import codec
from jupyter_faas.core.classes import ClassTable
from jupyter_faas.core.errors import BadRequest
from jupyter_faas.core.sections import Buffer, SectionError
from jupyter_faas.core.signature import enums_of
from jupyter_faas.execution import json_payload
from jupyter_faas.execution.call import Bound, Target

PICKLE, JSON, BYTES, TEXT = range(4)
"""Kinds of body: a payload, JSON, bytes as they are, text as it is."""


class FramedForm:
    """Payloads of core/codec.py both ways.

    Args:
        classes: The table that the package has filled.
    """

    lasting: frozenset[type] = codec.ATOMS

    def __init__(self, classes: ClassTable) -> None:
        self._classes = classes

    def bind(self, payload: Buffer, target: Target) -> Bound:
        """Return the arguments as they were pickled."""
        del target
        try:
            args, kwargs = codec.loads(payload, classes=self._classes)
        except SectionError as error:
            raise BadRequest(f"The body is no payload of arguments: {error}") from error
        return args, kwargs

    def bind_ahead(self, payload: Buffer) -> Bound | None:
        """Return arguments that are numbers, text and containers of them."""
        try:
            bound: Bound = codec.loads_plain(payload)
        except Exception:  # `bind` says what is wrong, in its turn
            return None
        return None if bound is codec.NOT_PLAIN else bound

    def encode(self, value: Any) -> tuple[list[Buffer], int]:
        """Return the parts of a payload."""
        return codec.dumps(value, classes=self._classes, root="result"), PICKLE

    def encode_item(self, value: Any) -> tuple[list[Buffer], int]:
        """Return the parts of a payload."""
        return codec.dumps(value, classes=self._classes, root="item"), PICKLE

    def dump_exception(self, error: BaseException) -> bytes | None:
        """Return the payload of an exception that can be rebuilt, else None."""
        parts = codec.dumps_exception(error, classes=self._classes)
        return None if parts is None else b"".join(parts)


class JsonForm:
    """JSON or raw bytes in; JSON, bytes or text out.

    Args:
        content_type: Of the bodies of the requests.
    """

    lasting: frozenset[type] = frozenset()

    def __init__(self, content_type: str) -> None:
        self._content_type = content_type
        self._binders: dict[Target, json_payload.Binder] = {}

    def bind(self, payload: Buffer, target: Target) -> Bound:
        """Return the arguments the target's signature makes of the body."""
        binder = self._binders.get(target)
        if binder is None:
            signature = json_payload.signature_of(target)
            binder = self._binders[target] = json_payload.Binder(
                signature, self._content_type, enums_of(target)
            )
        return binder.bind(payload)

    def bind_ahead(self, payload: Buffer) -> None:
        """A signature may make objects of it."""

    def encode(self, value: Any) -> tuple[list[Buffer], int]:
        """Return bytes and text as they are, anything else as JSON."""
        if isinstance(value, bytes | bytearray | memoryview):
            return [bytes(value)], BYTES
        if isinstance(value, str):
            return [value.encode("utf-8", "backslashreplace")], TEXT
        return [json_payload.encode_result(value)], JSON

    def encode_item(self, value: Any) -> tuple[list[Buffer], int]:
        """Return one item of a stream: always JSON, on one line."""
        return [json_payload.encode_result(value)], JSON

    def dump_exception(self, error: BaseException) -> bytes | None:
        """A JSON caller gets the text only."""
        del error
        return None
