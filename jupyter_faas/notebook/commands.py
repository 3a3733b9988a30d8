"""The commands of `%faas` and `%%faas`: one table, read by parser, help and completion. Pure.

Each command is one Python call; `call` says which, in the words of the API.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyter_faas.core.errors import InvalidSpec


@dataclass(frozen=True)
class Option:
    """One option of a command.

    Attributes:
        flag: As it is written: `--min-containers`.
        meaning: One line for `--help`.
        metavar: What its value is called; empty: it has none, being there says it.
        read: Turns the text of its value into what Python gets; raises `ValueError`.
        short: Another way to write it: `-f`.
        is_many: It may be given again; values are joined.
        value: What a flag without a value means.
        argument: The Python argument, if it is not the flag's own name.
    """

    flag: str
    meaning: str
    metavar: str = ""
    read: Callable[[str], Any] = str
    short: str = ""
    is_many: bool = False
    value: Any = True
    argument: str = ""

    @property
    def key(self) -> str:
        """The Python argument it becomes."""
        return self.argument or self.flag.lstrip("-").replace("-", "_")

    @property
    def usage(self) -> str:
        """How it stands in a usage line."""
        short = f"{self.short}, " if self.short else ""
        return f"{short}{self.flag} {self.metavar}".rstrip()


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: Its word.
        call: The Python call it is, for people.
        meaning: One line.
        names: Positional words for the usage line: `NAME [REV]`.
        least: So many positional words it needs.
        most: So many it takes.
        options: What it takes beside them.
        is_cell: It stands above a cell: `%%faas`.
    """

    name: str
    call: str
    meaning: str
    names: str = ""
    least: int = 0
    most: int = 0
    options: tuple[Option, ...] = ()
    is_cell: bool = False

    @property
    def magic(self) -> str:
        """How a line with it begins."""
        return f"{'%%' if self.is_cell else '%'}faas {self.name}"


HELP = Option("--help", "Show this.", short="-h")
JSON = Option("--json", "Return JSON text for programs instead of something to look at.")


def _many_texts(text: str) -> list[str]:
    return text.split()


def _pair(text: str) -> dict[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("write NAME=VALUE")
    return {name: value}


def _amount(text: str) -> Any:
    """Return a number or quantity, or a pair of them: `0.5`, `500m`, `256Mi,1Gi`."""
    parts = [_number_or_text(part) for part in text.split(",")]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _number_or_text(text: str) -> Any:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


MIN = Option("--min-containers", "Replicas that are always there.", "N", int)
MAX = Option("--max-containers", "Replicas at most.", "N", int)
BUFFER = Option("--buffer-containers", "Idle replicas above need while there is load.", "N", int)
WINDOW = Option("--scaledown-window", "Seconds idle before scaling down.", "SECONDS", float)
TARGET = Option("--target-inputs", "Wanted mean of calls in flight per replica.", "N", float)
SCALING = (MIN, MAX, BUFFER, WINDOW, TARGET)

SURROUNDINGS = (
    Option("--cpu", "Cores asked for: 0.5, 500m; or REQUEST,LIMIT.", "CORES", _amount),
    Option("--memory", "What its data may take: MiB, 2Gi; or REQUEST,LIMIT.", "M", _amount),
    Option("--timeout", "Seconds a call may run.", "SECONDS", float),
    Option("--startup-timeout", "Seconds a cold start may take.", "SECONDS", float),
    Option("--queue-timeout", "Seconds to wait for a replica.", "SECONDS", float),
    Option("--env", "A variable for it; may be given again.", "NAME=VALUE", _pair, is_many=True),
    Option("--secrets", "Names of secrets.", '"A B"', _many_texts, is_many=True),
    Option("--volumes", "A volume for it.", "/PATH=NAME", _pair, is_many=True),
    Option("--packages", "What it needs.", '"pandas>=2 polars"', _many_texts, is_many=True),
    Option("--image", "A container image of its own.", "IMAGE"),
    Option("--runtime-class", "Kubernetes' runtime class, like gvisor.", "NAME"),
    Option("--gpu", "A count like 1, or a text like a100:2.", "GPU", _number_or_text),
    Option("--node-selector", "A label of the node.", "LABEL=VALUE", _pair, is_many=True),
)

_DEPLOY = (
    Option("--name", "Name on the platform; else the function's.", "NAME"),
    *SCALING,
    Option("--max-inputs", "Calls at once in one replica.", "N", int),
    *SURROUNDINGS,
    Option("--retries", "How often a call that raised is run again.", "N", int),
    Option("--idempotent", "A lost call may be run again."),
    Option("--public", "May be called over HTTP without a token."),
    Option("--entry", "The function to deploy, if the cell defines several.", "FUNC"),
    Option("--strategy", "rolling (default) or recreate.", "STRATEGY"),
    Option("--take-over", "Take the name from another notebook."),
)
_OUT = Option(
    "--out",
    "Names that come back from the cell; all others stay there.",
    "A,B",
    lambda text: [name for name in text.replace(",", " ").split() if name],
    short="-o",
    is_many=True,
)
_ONE = "faas.function(NAME)"


def _of_one(name: str, call: str, meaning: str, **more: Any) -> Command:
    fields = {"names": "NAME", "least": 1, "most": 1, **more}
    options = (*fields.pop("options", ()), JSON)
    return Command(name, f"{_ONE}.{call}", meaning, options=options, **fields)


LINES = (
    Command("list", "faas.functions()", "List all functions.", options=(JSON,)),
    Command(
        "status",
        f"{_ONE}.status()",
        "Show a function; without a name the gateway.",
        "[NAME]",
        0,
        1,
        (JSON,),
    ),
    _of_one(
        "logs",
        "logs()",
        "Show what it has printed.",
        options=(
            Option("--follow", "Go on until interrupted.", short="-f"),
            Option("--tail", "How many of the last lines; 100.", "N", int),
        ),
    ),
    _of_one(
        "scale",
        "update_autoscaler(…)",
        "Change how many replicas there may be, live.",
        options=SCALING,
    ),
    _of_one("revisions", "revisions()", "List its revisions."),
    _of_one("replicas", "replicas()", "List its replicas."),
    _of_one(
        "rollback",
        "rollback(REV)",
        "Go back to the revision before, or to REV.",
        names="NAME [REV]",
        most=2,
    ),
    _of_one(
        "traffic",
        "traffic({REV: WEIGHT})",
        "Show how calls are divided over revisions, or divide them.",
        names="NAME [REV=WEIGHT …]",
        most=20,
    ),
    _of_one("delete", "delete()", "Remove it with its revisions and replicas."),
    Command("maps", "faas.gateway().maps()", "List the maps that run.", options=(JSON,)),
    Command(
        "panel",
        f"{_ONE}.panel()",
        "Show a function live; without a name all of them.",
        "[NAME]",
        0,
        1,
    ),
    Command(
        "capture",
        "NAME.capture()",
        "Show what would be sent of a function of this notebook; nothing is.",
        "NAME",
        1,
        1,
        (JSON,),
    ),
    Command(
        "connect",
        "faas.connect(URL)",
        "Choose the gateway: http://…, kubernetes, embedded; none: what the settings say.",
        "[URL]",
        0,
        1,
        (
            Option("--namespace", "Where names are looked up.", "NAME"),
            Option("--context", "Of kubeconfig.", "NAME"),
            JSON,
        ),
    ),
    Command(
        "doctor",
        "!jupyter-faas doctor",
        "Show settings with their origins, what runs, and what is wrong.",
        options=(JSON,),
    ),
)

CELLS = (
    Command(
        "deploy",
        "FUNC.deploy()",
        "Run the cell, then deploy the functions it defines.",
        options=_DEPLOY,
        is_cell=True,
    ),
    Command(
        "run",
        "serverless(cell).remote()",
        "Run the cell once in a replica; its last expression comes back as Out.",
        options=(_OUT, *SURROUNDINGS),
        is_cell=True,
    ),
)


def table(*, is_cell: bool) -> dict[str, Command]:
    """Return the commands of `%%faas` or of `%faas` by name."""
    return {command.name: command for command in (CELLS if is_cell else LINES)}


def options_of(command: Command) -> dict[str, Option]:
    """Return every way to write an option of a command, `--help` too."""
    found = {}
    for option in (*command.options, HELP):
        found[option.flag] = option
        if option.short:
            found[option.short] = option
    return found


def help_text(command: Command | None, *, is_cell: bool) -> str:
    """Return the help of one command; None: of the magic, with all commands."""
    if command is None:
        magic = "%%faas" if is_cell else "%faas"
        rows = [(one.name, one.meaning) for one in (CELLS if is_cell else LINES)]
        foot = f"{magic} COMMAND --help tells more."
        return f"{magic} COMMAND …\n{_columns(rows)}\n{foot}"
    words = " ".join(part for part in (command.magic, command.names, "[options]") if part)
    rows = [(option.usage, option.meaning) for option in (*command.options, HELP)]
    return f"{words}\n{command.meaning} In Python: {command.call}\n{_columns(rows)}"


def no_command(word: str, *, is_cell: bool, close: str) -> InvalidSpec:
    """Return what to say about a word that is no command."""
    magic = "%%faas" if is_cell else "%faas"
    names = ", ".join(table(is_cell=is_cell))
    if word in table(is_cell=not is_cell):
        other = "%faas" if is_cell else "%%faas"
        return InvalidSpec(f"{magic} {word}: it is {other} {word}. Commands here: {names}.")
    hint = f" Did you mean {close!r}?" if close else ""
    said = f"{magic} {word}: there is no such command." if word else f"{magic} needs a command."
    return InvalidSpec(f"{said}{hint} Commands: {names}.")


def _columns(rows: list[tuple[str, str]]) -> str:
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left:<{width}}  {right}" for left, right in rows)
