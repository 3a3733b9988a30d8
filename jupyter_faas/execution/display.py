"""`display(x)` inside a function: the rich forms of a value, sent to the cell that called.

A worker has no IPython shell. `builtins.display` is replaced, and so is IPython's own `display`
when a function brings or imports it, and pyplot's `show`: the modules are patched as they are
loaded, and imported by nobody here.
"""

from __future__ import annotations

import base64
import builtins
import importlib.abc
import importlib.machinery
import io
import sys
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Any

import msgspec

PATCHED_MODULE = "IPython.core.display_functions"
PYPLOT = "matplotlib.pyplot"
_WIDGET = "application/vnd.jupyter.widget-view+json"
"""Left out: the widget's model is here, and pages look for it in the notebook's kernel."""

_METHODS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_latex_": "text/latex",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
    "_repr_pdf_": "application/pdf",
}

Publish = Callable[[bytes], None]
"""Takes the msgpack of `{data, metadata, transient, update}`."""


class DisplayHandle:
    """What `display(x, display_id=True)` returns: shows something else in the same place."""

    def __init__(self, display_id: str, display: Callable[..., Any]) -> None:
        self.display_id = display_id
        self._display = display

    def display(self, value: Any, **options: Any) -> None:
        """Show `value` in a new place of the same id."""
        self._display(value, display_id=self.display_id, **options)

    def update(self, value: Any, **options: Any) -> None:
        """Show `value` instead of what is there."""
        self._display(value, display_id=self.display_id, update=True, **options)


def install(publish: Publish) -> None:
    """Make `display` work in this process; `publish` sends a bundle to the running invocation."""

    def display(*values: Any, **options: Any) -> DisplayHandle | None:
        return _display(publish, display, values, options)

    builtins.display = display  # type: ignore[attr-defined]  # - notebooks have this builtin
    _patch(PATCHED_MODULE, "display", lambda _module: display)
    _patch(PYPLOT, "show", lambda pyplot: partial(_show_figures, pyplot, display))


def mime_bundle(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the rich forms of a value and their metadata, as IPython would show it."""
    data: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    _add_own_bundle(value, data, metadata)
    data.pop(_WIDGET, None)
    for method, mime in _METHODS.items():
        if mime not in data:
            _add_form(value, method, mime, data, metadata)
    if "image/png" not in data and (png := _figure_png(value)):
        data["image/png"] = png
    if "text/plain" not in data:
        data["text/plain"] = repr(value)
    return {mime: _plain(form) for mime, form in data.items()}, metadata


def _display(
    publish: Publish, face: Callable[..., Any], values: Sequence[Any], options: dict[str, Any]
) -> DisplayHandle | None:
    display_id = options.get("display_id")
    if display_id is True:
        display_id = uuid.uuid4().hex
    transient = dict(options.get("transient") or {})
    if display_id:
        transient["display_id"] = display_id
    for value in values:
        data, metadata = (value, {}) if options.get("raw") else mime_bundle(value)
        metadata = {**metadata, **(options.get("metadata") or {})}
        bundle = {"data": data, "metadata": metadata, "transient": transient}
        if options.get("update"):
            bundle["update"] = True
        publish(msgspec.msgpack.encode(bundle, enc_hook=str))
    return DisplayHandle(display_id, face) if display_id else None


def _add_own_bundle(value: Any, data: dict[str, Any], metadata: dict[str, Any]) -> None:
    method = _method(value, "_repr_mimebundle_")
    if method is None:
        return
    with suppress(Exception):
        found = method(include=None, exclude=None)
        if isinstance(found, tuple):
            data.update(found[0])
            metadata.update(found[1])
        elif found:
            data.update(found)


def _add_form(
    value: Any, name: str, mime: str, data: dict[str, Any], metadata: dict[str, Any]
) -> None:
    method = _method(value, name)
    if method is None:
        return
    with suppress(Exception):  # as IPython: a broken form is left out, the others are shown
        form = method()
        if isinstance(form, tuple) and len(form) == 2:
            form, metadata[mime] = form
        if form is not None:
            data[mime] = form


def _method(value: Any, name: str) -> Callable[..., Any] | None:
    if isinstance(value, type):
        return None
    found = getattr(value, name, None)
    return found if callable(found) else None


def _figure_png(value: Any) -> bytes | None:
    """A matplotlib figure has no form of its own: IPython renders it."""
    cls = type(value)
    if not cls.__module__.startswith("matplotlib.") or not hasattr(value, "savefig"):
        return None
    with suppress(Exception):
        target = io.BytesIO()
        value.savefig(target, format="png", bbox_inches="tight")
        return target.getvalue()
    return None


def _plain(form: Any) -> Any:
    return base64.b64encode(form).decode() if isinstance(form, bytes | bytearray) else form


def _show_figures(
    pyplot: Any, display: Callable[..., Any], *_arguments: Any, **_options: Any
) -> None:
    """Show all open figures and close them, as a notebook does."""
    for number in pyplot.get_fignums():
        display(pyplot.figure(number))
    pyplot.close("all")


def _patch(name: str, attribute: str, make: Callable[[Any], Any]) -> None:
    """Replace an attribute of a module, now or once it is loaded."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        setattr(loaded, attribute, make(loaded))
    else:
        sys.meta_path.insert(0, _PatchingFinder(name, attribute, make))


class _PatchingFinder(importlib.abc.MetaPathFinder):
    """Lets a module load as always, then replaces one of its attributes."""

    def __init__(self, name: str, attribute: str, make: Callable[[Any], Any]) -> None:
        self._name = name
        self._attribute = attribute
        self._make = make

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the true spec of that one module, with a loader that patches."""
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                setattr(module, self._attribute, self._make(module))

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
