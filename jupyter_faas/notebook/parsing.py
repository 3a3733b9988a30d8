"""What is written behind `%faas` and `%%faas`, as a command with its words and options. Pure."""

from __future__ import annotations

import difflib
import shlex
from dataclasses import dataclass, field
from typing import Any

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.notebook.commands import (
    HELP,
    JSON,
    Command,
    Option,
    no_command,
    options_of,
    table,
)


@dataclass(frozen=True)
class Wish:
    """What somebody wants.

    Attributes:
        command: None: only the help of the magic itself.
        words: Positional words.
        options: By Python argument.
        wants_help: `--help` was among them; nothing else counts then.
        as_json: `--json` was among them.
    """

    command: Command | None
    words: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    wants_help: bool = False
    as_json: bool = False


def parse(line: str, *, is_cell: bool) -> Wish:
    """Return the wish of one line.

    Raises:
        InvalidSpec: It cannot be meant so; says what is right.
    """
    word, *rest = _split(line) or [""]
    if word in (HELP.flag, HELP.short):
        return Wish(None, wants_help=True)
    command = table(is_cell=is_cell).get(word)
    if command is None and {HELP.flag, HELP.short} & set(rest):
        # IPython refuses a cell magic above an empty cell: its help is also had by the line magic.
        command = table(is_cell=not is_cell).get(word)
    if command is None:
        close = _close(word, table(is_cell=is_cell))
        raise no_command(word, is_cell=is_cell, close=close)
    words, options = _sorted_out(command, rest)
    wants_help = options.pop(HELP.key, False)
    as_json = options.pop(JSON.key, False)
    if not wants_help:
        _check_words(command, words)
    return Wish(command, tuple(words), options, wants_help, as_json)


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise InvalidSpec(f"{line!r} cannot be read: {str(error).lower()}.") from None


def _sorted_out(command: Command, rest: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Return positional words and options."""
    known = options_of(command)
    words: list[str] = []
    options: dict[str, Any] = {}
    left = list(rest)
    while left:
        word = left.pop(0)
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        flag, equals, text = word.partition("=")
        option = known.get(flag)
        if option is None:
            raise _no_option(command, flag)
        if option.metavar and not equals:
            if not left:
                raise InvalidSpec(f"{flag} needs a value: {option.usage}.")
            text = left.pop(0)
        elif equals and not option.metavar:
            raise InvalidSpec(f"{flag} takes no value.")
        _add(options, option, _value(option, text))
    return words, options


def _value(option: Option, text: str) -> Any:
    if not option.metavar:
        return option.value
    try:
        return option.read(text)
    except ValueError as error:
        why = str(error) if str(error).startswith("write ") else "that is no number"
        raise InvalidSpec(f"{option.flag} {text}: {why}.") from None


def _add(options: dict[str, Any], option: Option, value: Any) -> None:
    before = options.get(option.key)
    if option.is_many and before is not None:
        value = {**before, **value} if isinstance(value, dict) else [*before, *value]
    options[option.key] = value


def _check_words(command: Command, words: list[str]) -> None:
    usage = f"{command.magic} {command.names}".rstrip()
    if len(words) < command.least:
        raise InvalidSpec(f"{command.magic} needs the name of a function: {usage}.")
    if len(words) > command.most:
        extra = " ".join(words[command.most :])
        raise InvalidSpec(f"{command.magic} does not take {extra!r}: {usage}.")


def _no_option(command: Command, flag: str) -> InvalidSpec:
    if flag == "--token":
        return InvalidSpec(
            "A token in a cell would be saved with the notebook: set FAAS_GATEWAY_TOKEN in the "
            "kernel's environment instead."
        )
    flags = [option.flag for option in command.options]
    close = _close(flag, flags)
    hint = f" Did you mean {close}?" if close else ""
    allowed = f"Options: {', '.join(flags)}." if flags else "It has no options."
    return InvalidSpec(f"{command.magic} has no option {flag}.{hint} {allowed}")


def _close(word: str, known: Any) -> str:
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return found[0] if found else ""
