"""Runs the commands of `%faas`: each is one Python call, said before it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jupyter_faas as faas
from jupyter_faas.client.as_json import to_json
from jupyter_faas.core.errors import InvalidSpec, UsageError
from jupyter_faas.notebook import doctor
from jupyter_faas.notebook.parsing import Wish
from jupyter_faas.notebook.telling import JsonText, shown_call


class Lines:
    """The line commands of one shell.

    Args:
        names: Returns the notebook's own names.
    """

    def __init__(self, names: Callable[[], Mapping[str, Any]]) -> None:
        self._names = names

    def run(self, wish: Wish) -> Any:
        """Do what was wished and return what there is to look at.

        Raises:
            FaasError: Why not.
        """
        assert wish.command is not None
        run = getattr(self, f"_{wish.command.name}", None)
        call, do = run(wish) if run is not None else self._of_one(wish)
        if not wish.as_json:
            print(call)
        value = do()
        return JsonText(to_json(_plain(value))) if wish.as_json else value

    def _list(self, _wish: Wish) -> Prepared:
        return "faas.functions()", faas.functions

    def _status(self, wish: Wish) -> Prepared:
        if wish.words:
            return self._of_one(wish)
        return "faas.gateway()", (lambda: _about(faas.gateway())) if wish.as_json else faas.gateway

    def _of_one(self, wish: Wish) -> Prepared:
        """A method of a deployed function that takes no more than options."""
        assert wish.command is not None
        return _method(wish.words[0], wish.command.name)

    def _logs(self, wish: Wish) -> Prepared:
        options = dict(wish.options)
        call, do = _method(wish.words[0], "logs", **options)
        if not options.get("follow"):
            return call, do
        if wish.as_json:
            raise InvalidSpec("%faas logs: --json and --follow do not go together.")
        return call, lambda: _print_lines(do())

    def _scale(self, wish: Wish) -> Prepared:
        if not wish.options:
            raise InvalidSpec("%faas scale: say what to change, e.g. --min-containers 1.")
        return _method(wish.words[0], "update_autoscaler", **wish.options)

    def _rollback(self, wish: Wish) -> Prepared:
        to = [_revision(word) for word in wish.words[1:]]
        return _method(wish.words[0], "rollback", *to)

    def _traffic(self, wish: Wish) -> Prepared:
        weights = dict(_weight(word) for word in wish.words[1:])
        return _method(wish.words[0], "traffic", *([weights] if weights else []))

    def _delete(self, wish: Wish) -> Prepared:
        name = wish.words[0]
        call, do = _method(name, "delete")
        if not wish.as_json:
            return call, do

        def delete() -> dict[str, str]:
            do()
            return {"deleted": name}

        return call, delete

    def _maps(self, _wish: Wish) -> Prepared:
        return "faas.gateway().maps()", lambda: faas.gateway().maps()

    def _capture(self, wish: Wish) -> Prepared:
        name = wish.words[0]
        names = self._names()
        by_python = names.get(name)
        handles = [by_python, *(value for value in names.values() if _is_named(value, name))]
        handle = next((one for one in handles if is_handle(one)), None)
        if handle is None:
            raise UsageError(
                f"%faas capture {name}: there is no remote function of this name in this notebook."
            )
        return f"{name}.capture()", handle.capture

    def _connect(self, wish: Wish) -> Prepared:
        call = shown_call("faas.connect", *wish.words, **wish.options)

        def connect() -> Any:
            gateway = faas.connect(*wish.words, **wish.options)
            return _about(gateway) if wish.as_json else gateway

        return call, connect

    def _doctor(self, _wish: Wish) -> Prepared:
        return "!jupyter-faas doctor", doctor.look

    def _panel(self, wish: Wish) -> Prepared:
        if not wish.words:
            return "faas.panel()", faas.panel
        return _method(wish.words[0], "panel")


Prepared = tuple[str, Callable[[], Any]]
"""The Python call as text, and what makes it."""


def is_handle(value: Any) -> bool:
    """Return whether a value is a remote function or class."""
    return isinstance(value, (faas.RemoteFunction, faas.RemoteClass))


def _is_named(value: Any, name: str) -> bool:
    return is_handle(value) and value.name == name


def _method(name: str, method: str, *words: Any, **options: Any) -> Prepared:
    name = name.replace("_", "-")
    call = shown_call(f"faas.function({name!r}).{method}", *words, **options)
    return call, lambda: getattr(faas.function(name), method)(*words, **options)


def _about(gateway: Any) -> dict[str, str]:
    """Return what is told of a gateway; its token is not."""
    return {
        "place": gateway.place,
        "provider": gateway.provider,
        "version": gateway.version,
        "namespace": gateway.namespace,
    }


def _plain(value: Any) -> Any:
    return value if not isinstance(value, doctor.Doctor) else value.document


def _print_lines(lines: Iterable[str]) -> None:
    """Print lines as they come, until there are no more or the cell is interrupted."""
    try:
        for line in lines:
            print(line, flush=True)
    except KeyboardInterrupt:
        return


def _revision(word: str) -> int:
    if not word.isdecimal():
        raise InvalidSpec(f"{word!r}: the number of a revision is expected, like 3.")
    return int(word)


def _weight(word: str) -> tuple[int, int]:
    number, equals, weight = word.partition("=")
    if not (equals and number.isdecimal() and weight.isdecimal()):
        raise InvalidSpec(f"{word!r}: write REVISION=WEIGHT, like 3=90.")
    return int(number), int(weight)
