"""`%faas` and `%%faas`: each command is one Python call, and says which."""

from __future__ import annotations

from functools import partial
from typing import Any

from jupyter_faas.notebook import cell_deploy, cell_run
from jupyter_faas.notebook.commands import JSON, help_text
from jupyter_faas.notebook.completion import IDENTIFIER, Completion, matcher
from jupyter_faas.notebook.lines import Lines
from jupyter_faas.notebook.parsing import parse
from jupyter_faas.notebook.telling import told

_CELLS = {"deploy": cell_deploy.run, "run": cell_run.run}


def load(shell: Any) -> None:
    """Register the magics and their completion in a shell."""
    magics = _Magics(shell)
    shell.register_magic_function(magics.line, "line", "faas")
    shell.register_magic_function(magics.cell, "cell", "faas")
    shell.Completer.custom_matchers.append(matcher(Completion(lambda: shell.user_ns)))


def unload(shell: Any) -> None:
    """Take the magics away again."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("faas", None)
    matchers = shell.Completer.custom_matchers
    matchers[:] = [one for one in matchers if one.matcher_identifier != IDENTIFIER]


class _Magics:
    """The two magics of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._lines = Lines(lambda: shell.user_ns)

    def line(self, line: str) -> Any:
        """Look at functions and steer them: `%faas --help` lists the commands."""
        __tracebackhide__ = True
        as_json = JSON.flag in line.split()
        return told(partial(self._line, line), as_json=as_json)

    def cell(self, line: str, cell: str) -> Any:
        """Deploy a cell, or run it in a replica: `%%faas --help` lists the commands."""
        __tracebackhide__ = True
        return told(partial(self._cell, line, cell))

    def _line(self, line: str) -> Any:
        __tracebackhide__ = True
        wish = parse(line, is_cell=False)
        if wish.wants_help:
            return print(help_text(wish.command, is_cell=False))
        return self._lines.run(wish)

    def _cell(self, line: str, cell: str) -> Any:
        __tracebackhide__ = True
        wish = parse(line, is_cell=True)
        if wish.wants_help:
            return print(help_text(wish.command, is_cell=True))
        assert wish.command is not None
        return _CELLS[wish.command.name](self._shell, wish, cell)
