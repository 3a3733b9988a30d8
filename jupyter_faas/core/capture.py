"""From a live function or class to a package, its fingerprint and a report.

Called by the client when a function is deployed, and once more before each call to ask whether
what was captured is still what it was (`Capture.is_current`). Sends nothing, and imports nothing
that is not loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_faas.core.classes import ClassTable
from jupyter_faas.core.codec import NOTEBOOK
from jupyter_faas.core.collecting import PYTHON, Collection
from jupyter_faas.core.errors import InvalidSpec, MissingPackages
from jupyter_faas.core.findings import report_of
from jupyter_faas.core.fingerprint import revision_id
from jupyter_faas.core.model import Code, Kind, RevisionSpec
from jupyter_faas.core.modules import installed_version
from jupyter_faas.core.package import Package
from jupyter_faas.core.report import Report
from jupyter_faas.core.signature import methods_of, parameters_of, signature_text


class Capture:
    """What was captured of one function or class.

    Attributes:
        name: Python name of the function.
        report: What was found, for people.
        spec: Code and settings, as they are deployed.
        id: Fingerprint of the revision, 64 hex digits.
        handles: Remote functions that it refers to: they must be deployed before it.
        modules: What it imports.
    """

    def __init__(
        self, seen: Collection, spec: RevisionSpec, code_digest: str, report: Report
    ) -> None:
        self.name = seen.name
        self.report = report
        self.spec = spec
        self.id = revision_id(code_digest, spec)
        self.handles: tuple[Any, ...] = tuple(seen.handles)
        self.modules = seen.modules
        self._package = seen.package
        self._problem = seen.problem
        self._watch = seen.watch

    @property
    def package(self) -> Package:
        """The package to send.

        Raises:
            NotSerializable: It cannot be made; names the path to what cannot be pickled.
        """
        if self._package is None:
            assert self._problem is not None
            raise self._problem
        return self._package

    @property
    def code(self) -> Code:
        """The package by reference."""
        return self.spec.code

    def is_current(self) -> bool:
        """Return whether a new capture would find the same; cheap enough for every call.

        Large objects (> 64 KiB) are compared by identity only.
        """
        return self._watch.is_current()

    def changed_names(self) -> list[str]:
        """Return the names whose values are no longer those that were captured."""
        return self._watch.changed_names()

    def raise_for_problems(self) -> None:
        """Raise what stands in the way of sending this.

        Raises:
            NotSerializable: Something in it cannot be pickled.
            MissingPackages: It imports a module that cannot be found here.
        """
        if self._problem is not None:
            raise self._problem
        if self.report.missing:
            names = ", ".join(f"`{name}`" for name in self.report.missing)
            raise MissingPackages(
                f"{self.name} cannot be sent: it imports {names}, which cannot be found here. "
                "Install it, or put the import inside try/except if the function can do without.",
                modules=list(self.report.missing),
            )


def capture(
    target: Any,
    *,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    classes: ClassTable | None = None,
) -> Capture:
    """Capture a function or class with everything it refers to.

    Nothing is raised for what cannot be sent: that is in the report, `raise_for_problems` says it.

    Args:
        target: Function, class, partial, bound method or callable object.
        name: What to call it; None: its Python name.
        settings: Fields of `RevisionSpec` other than `code`.
        classes: The table of this process's classes; None: the notebook's.

    Raises:
        InvalidSpec: `target` cannot be called, or a setting is unknown.
    """
    if not callable(target):
        raise InvalidSpec(f"{target!r} cannot be called: a function or a class is needed.")
    found = Collection(target, name or _name_of(target), NOTEBOOK if classes is None else classes)
    found.collect()
    found.watch_all()
    spec = _spec(found, dict(settings or {}))
    return Capture(found, spec, found.fingerprint(), report_of(found, spec))


def _name_of(target: Any) -> str:
    while not hasattr(target, "__name__") and hasattr(target, "func"):
        target = target.func
    return str(getattr(target, "__name__", type(target).__name__))


def _spec(seen: Collection, settings: dict[str, Any]) -> RevisionSpec:
    package = seen.package
    code = Code(
        digest=package.digest if package else "",
        size_bytes=package.size_bytes if package else 0,
        entry=seen.name,
        kind=seen.kind,
        python=PYTHON,
        methods=methods_of(seen.target) if seen.kind is Kind.CLASS else {},
        signature=signature_text(seen.target),
        parameters=parameters_of(seen.target),
        modules={name: installed_version(name) for name in seen.modules.installed},
    )
    try:
        return RevisionSpec(code=code, **settings)
    except TypeError as exc:
        raise InvalidSpec(f"unknown setting: {exc}") from exc
