"""What is written behind the magics: commands, words, options, and what a mistake is told."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_faas.client.options import DEFAULTS
from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.notebook.commands import CELLS, LINES, help_text, options_of, table
from jupyter_faas.notebook.parsing import parse


@pytest.mark.parametrize(
    ("line", "words", "options"),
    [
        ("list", (), {}),
        ("status score", ("score",), {}),
        ("logs score -f --tail 5", ("score",), {"follow": True, "tail": 5}),
        (
            "scale score --min-containers=2 --scaledown-window 1.5",
            ("score",),
            {"min_containers": 2, "scaledown_window": 1.5},
        ),
        ("traffic score 3=90 4=10", ("score", "3=90", "4=10"), {}),
        ("connect kubernetes --namespace team", ("kubernetes",), {"namespace": "team"}),
        ("panel", (), {}),
    ],
)
def test_line_commands(line: str, words: tuple[str, ...], options: dict[str, Any]) -> None:
    wish = parse(line, is_cell=False)
    assert (wish.words, wish.options) == (words, options)
    assert not wish.wants_help


def test_cell_options_are_the_decorators_arguments() -> None:
    line = (
        "deploy --name f --cpu 500m --memory 256Mi,1Gi --env A=1 --env B=x=y --timeout 5 "
        "--packages 'pandas>=2,<3 polars' --secrets 'a b' --idempotent --public --entry g --gpu 1"
    )
    assert parse(line, is_cell=True).options == {
        "name": "f",
        "cpu": "500m",
        "memory": ("256Mi", "1Gi"),
        "env": {"A": "1", "B": "x=y"},
        "timeout": 5.0,
        "packages": ["pandas>=2,<3", "polars"],
        "secrets": ["a", "b"],
        "idempotent": True,
        "public": True,
        "entry": "g",
        "gpu": 1,
    }
    assert parse("run -o model,df -o x", is_cell=True).options == {"out": ["model", "df", "x"]}


def test_every_argument_of_the_decorator_has_an_option() -> None:
    (deploy,) = (command for command in CELLS if command.name == "deploy")
    keys = {option.key for option in deploy.options}
    assert keys >= set(DEFAULTS) - {"schedule"}


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_there_for_the_magic_and_each_command(word: str) -> None:
    for is_cell, commands in ((False, LINES), (True, CELLS)):
        wish = parse(word, is_cell=is_cell)
        assert wish.wants_help
        shown = help_text(wish.command, is_cell=is_cell)
        assert all(command.name in shown for command in commands)
        for command in commands:
            assert parse(f"{command.name} {word}", is_cell=is_cell).wants_help
            told = help_text(command, is_cell=is_cell)
            assert command.call in told
            assert all(option.flag in told for option in options_of(command).values())


@pytest.mark.parametrize(
    ("line", "is_cell", "said"),
    [
        ("", False, "%faas needs a command. Commands: list"),
        ("statsu f", False, "Did you mean 'status'?"),
        ("deploy", False, "it is %%faas deploy"),
        ("list", True, "it is %faas list"),
        ("status a b", False, "does not take 'b'"),
        ("delete", False, "%faas delete needs the name of a function: %faas delete NAME"),
        ("scale f --min-container 3", False, "Did you mean --min-containers? Options: --min-c"),
        ("scale f --min-containers", False, "needs a value"),
        ("scale f --min-containers two", False, "that is no number"),
        ("list --json=1", False, "takes no value"),
        ("deploy --env A", True, "write NAME=VALUE"),
        ("connect --token abc", False, "set FAAS_GATEWAY_TOKEN"),
        ("status 'f", False, "cannot be read: no closing quotation"),
    ],
)
def test_a_mistake_is_told_what_is_right(line: str, is_cell: bool, said: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse(line, is_cell=is_cell)
    assert said in str(caught.value)
    assert "abc" not in str(caught.value)


def test_each_line_command_says_its_python_call() -> None:
    assert set(table(is_cell=False)) >= {
        "list", "status", "logs", "scale", "revisions", "rollback", "traffic", "delete", "panel",
        "capture", "connect", "doctor",
    }  # fmt: skip
    assert all(command.call for command in (*LINES, *CELLS))
