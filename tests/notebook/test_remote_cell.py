"""A cell as a function: what it returns, what it assigns, what of the notebook it needs."""

from __future__ import annotations

import asyncio
import inspect
from types import FunctionType
from typing import Any

import pytest

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.references import global_names
from jupyter_faas.notebook.remote_cell import remote_cell


def made(source: str, names: dict[str, Any], wanted: tuple[str, ...] = ()) -> FunctionType:
    cell = remote_cell(source, names, wanted)
    space: dict[str, Any] = {}
    exec(compile(cell.tree, "<cell>", "exec"), {}, space)
    return FunctionType(space["cell"].__code__, names, "cell")


def run(source: str, names: dict[str, Any] | None = None, *wanted: str) -> Any:
    function = made(source, {"__builtins__": __builtins__, **(names or {})}, wanted)
    result = function()
    return asyncio.run(result) if inspect.iscoroutine(result) else result


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 1", 2),
        ("x = 3\nx", 3),
        ("x = 3", None),
        ("x = 3\nx;", None),
        ("", None),
        ("# nothing", None),
        ("def f(n): return 1 if n < 2 else n * f(n - 1)\nf(5)", 120),
        ("class P:\n    n = 4\nP().n", 4),
        ("[y for y in range(3)]", [0, 1, 2]),
        ("count = 0\ndef up():\n    global count\n    count += 1\nup()\ncount", 1),
        ("import asyncio\nawait asyncio.sleep(0, 7)", 7),
        ("[x async for x in a()]", [1, 2]),
        (
            "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    said = str(error)\nsaid",
            "division by zero",
        ),
        ("if (n := 4) > 3:\n    r = n\nr", 4),
    ],
)
def test_the_last_expression_is_the_value(source: str, value: Any) -> None:
    async def a() -> Any:
        yield 1
        yield 2

    assert run(source, {"a": a}) == (value, {})


def test_names_come_back_only_if_they_are_wanted() -> None:
    assert run("a = 1\nb = a + k", {"k": 4}, "b") == (None, {"b": 5})
    assert run("df", {"df": 8}, "df") == (8, {"df": 8})
    with pytest.raises(InvalidSpec, match="the cell assigns a, b"):
        run("a = 1\nimport os as b", None, "c")


def test_a_name_of_the_notebook_may_be_read_and_assigned() -> None:
    assert run("df = df + 1\ndf", {"df": 1}) == (2, {})
    assert run("for i in range(2): total += i\ntotal", {"total": 10}) == (11, {})


@pytest.mark.parametrize(
    ("source", "needed"),
    [
        ("model = 1\nmodel", set()),
        ("import big\nbig", set()),
        ("model = model + 1", {"model"}),
        ("if flag: model = 1\nmodel", {"flag", "model"}),
        ("def f(): return model\nf()", {"model"}),
        ("model = 1\ndef f(): return model\nf()", set()),
        ("model += 1", {"model"}),
        ("del model", {"model"}),
        ("def f():\n    global model\n    model = 2\nf()", {"model"}),
    ],
)
def test_what_the_cell_overwrites_first_does_not_travel(source: str, needed: set[str]) -> None:
    notebook = {"model": 1, "big": 2, "flag": True}
    function = made(source, notebook)
    assert set(global_names(function.__code__)) & set(notebook) == needed


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("get_ipython().system('ls')", "run in the notebook"),
        ("from os import *", "name what is imported"),
    ],
)
def test_what_cannot_run_elsewhere_is_told(source: str, said: str) -> None:
    with pytest.raises(InvalidSpec, match=said):
        remote_cell(source, {}, ())


def test_what_is_no_python_is_a_syntax_error() -> None:
    with pytest.raises(SyntaxError):
        remote_cell("def f(:", {}, ())
    with pytest.raises(SyntaxError):
        remote_cell("return 3", {}, ())


def test_a_traceback_points_into_the_cell() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run("x = 1\n\nx / 0")
    assert caught.traceback[-1].frame.code.name == "cell"
    assert caught.traceback[-1].lineno + 1 == 3


def test_what_cannot_travel_is_shown_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    from jupyter_faas.execution.cell_value import travelling

    shown: list[Any] = []
    monkeypatch.setattr(builtins, "display", shown.append, raising=False)
    stuck = (n for n in [1])
    assert travelling(stuck) is None
    assert shown == [stuck]
    assert travelling([1]) == [1]
