"""Completion behind `%faas` and `%%faas`: commands, names of functions, options.

Names come from the gateway that is there. None is started for a key press, and none may make
typing wait: a question that takes longer than a moment is answered from memory.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Mapping
from typing import Any

from jupyter_faas.notebook.commands import Command, options_of, table
from jupyter_faas.notebook.known_names import ask
from jupyter_faas.notebook.lines import is_handle

IDENTIFIER = "jupyter_faas.completion"
_FRESH_S = 2.0
_MAGIC = re.compile(r"(?:^|=)\s*(?P<magic>%%?)faas\s+(?P<rest>.*)$")


def complete(
    words: list[str], symbol: str, *, is_cell: bool, names: Callable[[], list[str]]
) -> list[str]:
    """Return what may stand at the cursor. Pure but for `names`.

    Args:
        words: What stands between the magic and the cursor, without `symbol`.
        symbol: What has been written of the word at the cursor.
        is_cell: It is `%%faas`.
        names: Returns names of functions; asked only if one fits.
    """
    if not words:
        return sorted(
            name for name in (*table(is_cell=is_cell), "--help") if name.startswith(symbol)
        )
    command = table(is_cell=is_cell).get(words[0])
    if command is None:
        return []
    options = options_of(command)
    before = options.get(words[-1])
    if before is not None and before.metavar:
        return []  # the value of an option is anybody's guess
    if symbol.startswith("-"):
        given = set(words)
        flags = {o.flag for o in options.values() if o.is_many or o.flag not in given}
        return sorted(flag for flag in flags if flag.startswith(symbol))
    if not _takes_name(command, words[1:]):
        return []
    return sorted(name for name in names() if name.startswith(symbol))


def _takes_name(command: Command, words: list[str]) -> bool:
    takes = command.names.lstrip("[").startswith("NAME") and not command.is_cell
    return takes and not any(not word.startswith("-") for word in words)


class Completion:
    """Completes lines with a magic of ours in them.

    Args:
        names: Returns the notebook's names: remote functions among them are known, too.
    """

    def __init__(self, names: Callable[[], Mapping[str, Any]]) -> None:
        self._own = names
        self._known: list[str] = []
        self._asked_s = float("-inf")

    def of(self, line: str) -> list[str]:
        """Return what may stand at the end of a line."""
        found = _MAGIC.search(line)
        if found is None:
            return []
        try:
            words = shlex.split(found["rest"])
        except ValueError:
            return []
        is_begun = not found["rest"].endswith((" ", "\t"))
        symbol = words.pop() if words and is_begun else ""
        names = self._python_names if words[:1] == ["capture"] else self._names
        return complete(words, symbol, is_cell=found["magic"] == "%%", names=names)

    def _names(self) -> list[str]:
        now_s = time.monotonic()
        if now_s - self._asked_s > _FRESH_S:
            self._asked_s = now_s
            found = ask()
            if found is not None:
                self._known = found
        own = {value.name for value in self._own().values() if is_handle(value)}
        return sorted({*self._known, *own})

    def _python_names(self) -> list[str]:
        return [name for name, value in self._own().items() if is_handle(value)]


def matcher(completion: Completion) -> Any:
    """Return IPython's form of it: what Python itself would complete stays out of the way."""
    from IPython.core.completer import (  # noqa: PLC0415 - only in a shell
        CompletionContext,
        SimpleCompletion,
        context_matcher,
    )

    @context_matcher(identifier=IDENTIFIER, priority=100)  # type: ignore[untyped-decorator]
    def faas_matcher(context: CompletionContext) -> Any:
        found = completion.of(context.text_until_cursor.rpartition("\n")[2])
        completions = [SimpleCompletion(text, type="faas") for text in found]
        return {"completions": completions, "suppress": bool(found), "ordered": True}

    return faas_matcher
