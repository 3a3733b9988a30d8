"""The decorator's arguments: each wrong one is named, with what is allowed."""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys
import traceback
from typing import Any

import pytest

import jupyter_faas as faas
from jupyter_faas.client.options import DEFAULTS, parse_options, parse_scaling
from jupyter_faas.client.quantities import parse_cpu, parse_memory
from jupyter_faas.core import model

BAD: list[tuple[str, Any]] = [
    ("name", "Not A Label"),
    ("name", "x" * 64),
    ("min_containers", -1),
    ("min_containers", True),
    ("max_containers", 0),
    ("max_containers", 2.5),
    ("buffer_containers", "2"),
    ("scaledown_window", -1),
    ("max_inputs", 0),
    ("target_inputs", 0),
    ("cpu", 0),
    ("cpu", "fast"),
    ("cpu", (2, 1)),
    ("cpu", (1, 2, 3)),
    ("memory", "512"),
    ("memory", 0),
    ("memory", ("2Gi", "1Gi")),
    ("memory", True),
    ("timeout", 0),
    ("timeout", float("inf")),
    ("timeout", float("nan")),
    ("startup_timeout", "60"),
    ("queue_timeout", -3),
    ("retries", -1),
    ("retries", 11),
    ("retries", "always"),
    ("env", {"A": 1}),
    ("env", {"not a name": "x"}),
    ("env", ["A=1"]),
    ("secrets", "one"),
    ("volumes", {"relative": "data"}),
    ("packages", "numpy"),
    ("packages", [3]),
    ("image", 3),
    ("gpu", 0),
    ("idempotent", "yes"),
    ("public", 1),
]


def test_a_class_that_needs_arguments_is_refused_at_the_decorator() -> None:
    with pytest.raises(faas.InvalidSpec, match=r"Needy cannot be made .*'path'.* a default"):

        @faas.serverless
        class Needy:
            def __init__(self, path: str) -> None:
                self.path = path

            def get(self) -> str:
                return self.path


@pytest.mark.parametrize(("argument", "value"), BAD)
def test_a_bad_value_names_the_argument_and_what_is_allowed(argument: str, value: Any) -> None:
    with pytest.raises(faas.InvalidSpec) as caught:
        parse_options({argument: value})
    assert argument in str(caught.value)
    assert repr(value)[:20] in str(caught.value)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("max_container", "max_containers"), ("memmory", "memory"), ("time_out", "timeout")],
)
def test_an_unknown_argument_is_answered_with_the_likely_one(given: str, meant: str) -> None:
    with pytest.raises(faas.InvalidSpec, match=f"Did you mean '{meant}'"):
        parse_options({given: 1})


def test_arguments_that_contradict_are_refused_together() -> None:
    with pytest.raises(faas.InvalidSpec, match="min_containers=5 is more than max_containers=2"):
        parse_options({"min_containers": 5, "max_containers": 2})
    with pytest.raises(faas.InvalidSpec, match="target_inputs=4"):
        parse_options({"target_inputs": 4, "max_inputs": 2})


def test_the_mistake_is_at_the_decorators_line() -> None:
    with pytest.raises(faas.InvalidSpec) as caught:

        @faas.serverless(max_inputs="many")  # the line
        def f() -> None: ...

    frames = [frame for frame in traceback.extract_tb(caught.tb) if frame.filename == __file__]
    assert "# the line" in (frames[-1].line or "")


def test_defaults_are_those_of_the_api() -> None:
    options = parse_options({})
    assert options.settings == model.FunctionSettings()
    spec = model.RevisionSpec(code=model.Code(digest="", size_bytes=0, entry="f", python="3"))
    assert model.RevisionSpec(code=spec.code, **options.revision) == spec


def test_the_signature_lists_every_argument() -> None:
    parameters = inspect.signature(faas.serverless).parameters
    assert set(parameters) - {"code"} == set(DEFAULTS)


def test_what_is_no_function_cannot_be_decorated() -> None:
    with pytest.raises(faas.InvalidSpec, match="above a function or a class"):
        faas.serverless(3)  # type: ignore[call-overload]
    with pytest.raises(faas.InvalidSpec, match="name="):
        faas.serverless(lambda x: x)
    handle = faas.serverless(name="short")(lambda x: x + 1)
    assert handle.name == "short"
    assert handle(1) == 2
    with pytest.raises(faas.InvalidSpec, match="of type partial: define one that calls it"):
        faas.serverless(functools.partial(pow, 2))  # type: ignore[call-overload]
    with pytest.raises(faas.InvalidSpec, match="has it already"):
        faas.serverless(handle)


def test_what_is_not_there_yet_says_so_in_a_sentence() -> None:
    @faas.serverless
    def f(x: int) -> int:
        return x

    with pytest.raises(NotImplementedError, match="schedule="):
        faas.serverless(schedule=faas.Cron("0 6 * * *"))


def test_a_decorated_function_looks_like_the_function() -> None:
    @faas.serverless(max_containers=3)
    def clean_text(text: str, *, lower: bool = True) -> str:
        """Clean it."""
        return text

    assert clean_text.name == "clean-text"
    assert clean_text.__name__ == "clean_text"
    assert clean_text.__doc__ == "Clean it."
    assert list(inspect.signature(clean_text).parameters) == ["text", "lower"]
    assert clean_text("a") == "a"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (512, (None, 512)),
        ("2Gi", (None, 2048)),
        ("512Mi", (None, 512)),
        ("1G", (None, 954)),
        ((256, "1Gi"), (256, 1024)),
    ],
)
def test_memory_is_read_as_people_write_it(value: Any, expected: tuple[Any, int]) -> None:
    assert parse_memory(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.5, (0.5, None)), ("500m", (0.5, None)), ((1, 2), (1.0, 2.0)), ("2", (2.0, None))],
)
def test_cpu_is_read_as_people_write_it(value: Any, expected: tuple[float, Any]) -> None:
    assert parse_cpu(value) == expected


def test_scaling_changes_are_checked_with_what_stays() -> None:
    current = model.Scaling(max_containers=4)
    assert parse_scaling({"min_containers": 2}, current, 1) == {"min_containers": 2}
    assert parse_scaling({"scaledown_window": 5}, current, 1) == {"scaledown_window_s": 5.0}
    with pytest.raises(faas.InvalidSpec, match="max_containers=4"):
        parse_scaling({"min_containers": 5}, current, 1)
    with pytest.raises(faas.InvalidSpec, match="Unknown argument 'memory'"):
        parse_scaling({"memory": 5}, current, 1)


def test_decorating_loads_no_pickler_and_opens_no_socket() -> None:
    program = (
        "import sys, socket\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from jupyter_faas import serverless\n"
        "@serverless(max_containers=3)\n"
        "def f(x): return x\n"
        "assert f(1) == 1\n"
        "assert 'cloudpickle' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
