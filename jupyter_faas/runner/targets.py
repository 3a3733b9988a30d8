"""The callables of a loaded package, by method, with what the runner must know of each."""

from __future__ import annotations

import functools
import inspect
from typing import Any, NamedTuple

from jupyter_faas.core import batch
from jupyter_faas.core.sections import Buffer
from jupyter_faas.execution.call import Call, Form, Target
from jupyter_faas.execution.forms import FramedForm, JsonForm
from jupyter_faas.execution.items import ItemsCall
from jupyter_faas.execution.load import Loaded
from jupyter_faas.execution.minder import Minder
from jupyter_faas.runner.channel import CallHead

_MOST_TYPES = 16
"""Content types whose forms are kept: they are the callers' to choose."""


class Known(NamedTuple):
    """One callable; `is_async`: it runs on the loop."""

    target: Target
    is_async: bool


class Targets:
    """Looks up what a call is for; each method once.

    Args:
        loaded: The package.
    """

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._known: dict[str | None, Known] = {}
        self._json: dict[str, JsonForm] = {}
        self._framed = FramedForm(loaded.classes)

    def find(self, method: str | None) -> Known:
        """Return the callable of a method (None: the function itself).

        Raises:
            FaasError: There is no such method.
        """
        known = self._known.get(method)
        if known is None:
            target = self._loaded.call(method)
            known = self._known[method] = Known(target, _is_async(target))
        return known

    def call(
        self, head: CallHead, payload: Buffer, minder: Minder
    ) -> tuple[Call | ItemsCall, bool]:
        """Return what a call does, and whether on the loop.

        Raises:
            FaasError: There is no such method.
            BatchError: It should be a chunk of a map, and cannot be read.
        """
        known = self.find(head.method)
        if head.content_type == batch.CONTENT_TYPE:
            return ItemsCall(known.target, payload, self._framed, minder), known.is_async
        return Call(known.target, payload, self.form(head)), known.is_async

    def form(self, head: CallHead) -> Form:
        """Return how the arguments of this call are read and its values written."""
        if head.is_framed:
            return self._framed
        form = self._json.get(head.content_type)
        return self._json_form(head.content_type) if form is None else form

    def _json_form(self, content_type: str) -> JsonForm:
        """Return the form of a type whatever its parameters: a boundary is another each time."""
        kind = content_type.partition(";")[0].strip().lower()
        form = self._json.get(kind) or JsonForm(kind)
        if len(self._json) < _MOST_TYPES:
            self._json[kind] = form
        return form


def _is_async(target: Any) -> bool:
    while isinstance(target, functools.partial):
        target = target.func
    if not inspect.isroutine(target) and callable(target):
        target = type(target).__call__
    return inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target)
