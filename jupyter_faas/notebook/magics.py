"""`%faas` and `%%faas deploy`: each is one Python call, and says which."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable
from typing import Any

import jupyter_faas as faas
from jupyter_faas.core.errors import FaasError, InvalidSpec

_NUMBERS = ("min_containers", "max_containers", "buffer_containers", "max_inputs")
_SECONDS = ("scaledown_window", "timeout", "startup_timeout", "queue_timeout", "target_inputs")


def load(shell: Any) -> None:
    """Register the magics in a shell."""
    magics = _Magics(shell)
    shell.register_magic_function(magics.line, "line", "faas")
    shell.register_magic_function(magics.cell, "cell", "faas")


def unload(shell: Any) -> None:
    """Take the magics away again."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("faas", None)


class _Magics:
    """The two magics of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def line(self, line: str) -> Any:
        """Run `%faas COMMAND [NAME] [options]`."""
        return _told(lambda: _run_line(shlex.split(line)))

    def cell(self, line: str, cell: str) -> Any:
        """Run `%%faas deploy [options]`: run the cell, then deploy what it defines."""
        return _told(lambda: self._deploy(shlex.split(line), cell))

    def _deploy(self, words: list[str], cell: str) -> None:
        command, *rest = words or [""]
        if command != "deploy":
            raise InvalidSpec(f"%%faas {command}: a cell can be deployed: %%faas deploy.")
        options = _options(rest)
        entry = options.pop("entry", None)
        before = dict(self._shell.user_ns)
        result = self._shell.run_cell(cell)
        if not result.success:
            return
        made = {
            name: value
            for name, value in self._shell.user_ns.items()
            if not name.startswith("_") and before.get(name) is not value
        }
        for name, handle in _handles(made, entry, options).items():
            self._shell.user_ns[name] = handle
            print(f"{name}.deploy()")
            handle.deploy()


def _handles(made: dict[str, Any], entry: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return what to deploy of the names a cell has made."""
    if entry is not None:
        if entry not in made:
            raise InvalidSpec(f"--entry {entry}: the cell defines {', '.join(made) or 'nothing'}.")
        return {entry: _decorated(made[entry], options)}
    decorated = {name: value for name, value in made.items() if _is_handle(value)}
    if decorated:
        if options:
            raise InvalidSpec("The options belong into @serverless(…) of the decorated function.")
        return decorated
    plain = {name: value for name, value in made.items() if type(value).__name__ == "function"}
    if len(plain) != 1:
        names = ", ".join(plain) or "none"
        raise InvalidSpec(f"Which function? The cell defines {names}: --entry NAME says it.")
    ((name, value),) = plain.items()
    return {name: _decorated(value, options)}


def _decorated(value: Any, options: dict[str, Any]) -> Any:
    return value if _is_handle(value) else faas.serverless(**options)(value)


def _is_handle(value: Any) -> bool:
    return isinstance(value, (faas.RemoteFunction, faas.RemoteClass))


def _run_line(words: list[str]) -> Any:
    command, *rest = words or [""]
    run = _COMMANDS.get(command)
    if run is None:
        close = difflib.get_close_matches(command, _COMMANDS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InvalidSpec(f"%faas {command}:{hint} Commands: {', '.join(_COMMANDS)}.")
    return run(rest)


def _says(call: str) -> None:
    print(call)


def _list(words: list[str]) -> Any:
    _says("faas.functions()")
    return faas.functions()


def _connect(words: list[str]) -> Any:
    url = words[0] if words else None
    _says(f"faas.connect({url!r})" if url else "faas.connect()")
    return faas.connect(url)


def _doctor(words: list[str]) -> Any:
    _says("faas.gateway()")
    gateway = faas.gateway()
    print(f"gateway {gateway.version} ({gateway.provider}) at {gateway.place}")
    return None


def _of_one(method: str) -> Callable[[list[str]], Any]:
    def run(words: list[str]) -> Any:
        name, *rest = words or _no_name(method)
        handle = _find(name)
        positional = [word for word in rest if not word.startswith("-")]
        if method == "traffic":
            weights = dict(_weight(word) for word in positional)
            _says(f"faas.function({name!r}).traffic({weights or ''})")
            return handle.traffic(weights or None)
        if method == "rollback":
            to = int(positional[0]) if positional else None
            _says(f"faas.function({name!r}).rollback({to or ''})")
            return handle.rollback(to)
        if method == "scale":
            options = _options(rest)
            shown = ", ".join(f"{option}={value!r}" for option, value in options.items())
            _says(f"faas.function({name!r}).update_autoscaler({shown})")
            return handle.update_autoscaler(**options)
        return _plain(handle, name, method, rest)

    return run


def _plain(handle: Any, name: str, method: str, rest: list[str]) -> Any:
    if method == "logs" and "-f" in rest:
        _says(f"faas.function({name!r}).logs(follow=True)")
        for line in handle.logs(follow=True):
            print(line)
        return None
    _says(f"faas.function({name!r}).{method}()")
    return getattr(handle, method)()


def _capture(words: list[str]) -> Any:
    name = (words or _no_name("capture"))[0]
    from IPython import get_ipython  # noqa: PLC0415 - only inside a shell

    handle = get_ipython().user_ns.get(name)
    if not _is_handle(handle):
        raise InvalidSpec(f"%faas capture {name}: there is no remote function of this name here.")
    _says(f"{name}.capture()")
    return handle.capture()


def _find(name: str) -> Any:
    return faas.function(name.replace("_", "-"))


def _no_name(command: str) -> list[str]:
    raise InvalidSpec(f"%faas {command} needs the name of a function: %faas {command} NAME.")


def _weight(word: str) -> tuple[int, int]:
    number, equals, weight = word.partition("=")
    if not (equals and number.isdecimal() and weight.isdecimal()):
        raise InvalidSpec(f"{word!r}: write REVISION=WEIGHT, like 3=90.")
    return int(number), int(weight)


def _options(words: list[str]) -> dict[str, Any]:
    """Return `--min-containers 2 --memory 1Gi` as keyword arguments."""
    from jupyter_faas.client.options import DEFAULTS, check_known  # noqa: PLC0415 - when used

    options: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            raise InvalidSpec(f"{word!r} is no option: options are like --min-containers 2.")
        if not equals:
            if not rest:
                raise InvalidSpec(f"{name} needs a value.")
            value = rest.pop(0)
        options[name[2:].replace("-", "_")] = value
    check_known(options, {**DEFAULTS, "entry": None})
    return {name: _value(name, text) for name, text in options.items()}


def _value(name: str, text: str) -> Any:
    try:
        if name in _NUMBERS or (name in ("memory", "retries") and text.isdecimal()):
            return int(text)
        return float(text) if name in _SECONDS else text
    except ValueError:
        raise InvalidSpec(f"--{name.replace('_', '-')} {text}: that is no number.") from None


def _told(run: Callable[[], Any]) -> Any:
    """Run a magic; what a person did wrong is a sentence, not a traceback."""
    try:
        return run()
    except FaasError as error:
        print(f"✕ {error}")
        return None


_COMMANDS: dict[str, Callable[[list[str]], Any]] = {
    "list": _list,
    **{
        name: _of_one(name)
        for name in ("status", "logs", "scale", "revisions", "rollback", "traffic", "delete")
    },
    "capture": _capture,
    "connect": _connect,
    "doctor": _doctor,
}
