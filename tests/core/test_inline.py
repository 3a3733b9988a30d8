"""Inline source is read without running it: what is called, how, and what is wrong with it."""

from __future__ import annotations

import inspect
import sys
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.inline import compile_source, inline_package, read_entry
from jupyter_faas.core.model import Kind
from jupyter_faas.core.package import inline_source, open_package
from jupyter_faas.core.signature import kind_of, methods_of, parameters_of, signature_text

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def run(source: str) -> dict[str, Any]:
    scope: dict[str, Any] = vars(ModuleType("__main__"))
    exec(compile_source(source), scope)
    return scope


MODEL = """
class Base:
    def inherited(self, x): return x
    def replaced(self): return 1

class Model(Base):
    '''A model.'''
    size: int = 3
    def __init__(self, path: str = "x"): ...
    def predict(self, x): return x
    async def slow(self): ...
    def replaced(self):
        yield 1
    @property
    def state(self): return 1
    @staticmethod
    def plain(): return 1
    def close(self): ...
    def _own(self): ...
"""


@pytest.mark.parametrize(
    ("source", "kind", "signature"),
    [
        ("def f(a, b: int = 3, *c: str, d=None, **e) -> str: ...", Kind.FUNCTION, None),
        ("def f(a, /, b, *, c): return 1", Kind.FUNCTION, "(a, /, b, *, c)"),
        ("async def f(): ...", Kind.ASYNC, "()"),
        ("def f():\n  def g(): return 1\n  yield g", Kind.GENERATOR, "()"),
        ("def f():\n  def g(): yield 1\n  return list(g())", Kind.FUNCTION, "()"),
        ("def f(): return lambda: (yield)", Kind.FUNCTION, "()"),
        ("async def f(n=2):\n  for i in range(n): yield i", Kind.ASYNC_GENERATOR, "(n=2)"),
        ("def f():\n  return (yield from [])", Kind.GENERATOR, "()"),
        (
            "import os\ntry:\n  import fast\nexcept ImportError:\n  def f(x): ...",
            Kind.FUNCTION,
            None,
        ),
        ("def f(x: 'list[int]', y: float = 1e3): ...", Kind.FUNCTION, None),
    ],
)
def test_a_function_is_read_as_python_would_see_it(
    source: str, kind: Kind, signature: str | None
) -> None:
    found = read_entry(source)
    real = run(source)["f"]
    assert found.name == "f"
    assert found.kind is kind is kind_of(real)
    assert [(one["name"], one["kind"]) for one in found.parameters] == [
        (name, one.kind.name.lower()) for name, one in inspect.signature(real).parameters.items()
    ]
    if signature is not None:
        assert found.signature == signature == signature_text(real)


def test_annotations_and_defaults_are_their_text() -> None:
    source = "def f(a: int, b: 'str' = 'x', *, c: bytes = b'', d=[1, 2], **e: float) -> None: ..."
    found = read_entry(source)
    assert (
        found.signature
        == "(a: int, b: 'str' = 'x', *, c: bytes = b'', d=[1, 2], **e: float) -> None"
    )
    assert found.parameters == parameters_of(run(source)["f"])[:1] + found.parameters[1:]
    assert found.parameters[2] == {
        "name": "c", "kind": "keyword_only", "annotation": "bytes", "default": "b''",
    }  # fmt: skip


def test_a_class_is_read_with_its_methods() -> None:
    found = read_entry(MODEL, "Model")
    assert found.kind is Kind.CLASS
    assert found.methods == methods_of(run(MODEL)["Model"])
    assert found.methods["replaced"] is Kind.GENERATOR
    assert found.signature == "(path: str = 'x')"


@pytest.mark.parametrize(
    ("source", "entry", "name"),
    [
        ("def _help(): ...\ndef f(): ...", None, "f"),
        ("def help(): ...\n@serverless\ndef f(): ...", None, "f"),
        ("def help(): ...\n@faas.serverless(memory=64)\ndef f(): ...", None, "f"),
        ("def a(): ...\ndef b(): ...", "b", "b"),
        ("def _a(): ...", "_a", "_a"),
        ("from math import sqrt", "sqrt", "sqrt"),
        ("f = lambda x: x", "f", "f"),
        ("f: object = make()", "f", "f"),
        ("import sys\nif sys.platform:\n  def f(): ...\nelse:\n  def f(): ...", None, "f"),
        ("def f(): ...\nif __name__ == '__main__':\n  def main(): ...", None, "f"),
    ],
)
def test_the_entry_is_found(source: str, entry: str | None, name: str) -> None:
    assert read_entry(source, entry).name == name


@pytest.mark.parametrize(
    ("source", "entry", "said"),
    [
        ("def f(:\n  pass", None, "no Python: .* in line 1: `def f\\(:`"),
        ("x = 1\n  y = 2", None, "unexpected indent in line 2"),
        ("", None, "nothing to call: no public function or class"),
        ("def f(): ...\ndef g(): ...", None, "several that could be called: `f`, `g`"),
        ("def f(): ...\ndef g(): ...", "h", "no `h`; there is `f`, `g`"),
        ("x = 3", "x", "`x` is no function or class"),
        ("class A:\n  x = 1", None, "class `A` has no public method"),
        ("def f(): ...\0", None, "source"),
        ("(" * 5_000, None, "source"),
        ("x = " + "-" * 100_000 + "1\ndef f(): ...", None, "source"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(source: str, entry: str | None, said: str) -> None:
    with pytest.raises(InvalidSpec, match=said):
        read_entry(source, entry)


def test_what_is_for_running_the_file_as_a_program_does_not_run() -> None:
    source = "def f(): return 1\nif __name__ == '__main__':\n    raise SystemExit(f())\nx = 1\n"
    scope = run(source)
    assert scope["x"] == 1
    assert run("if '__main__' == __name__:\n  y = 1\nelse:\n  y = 2\n")["y"] == 2


@given(st.text(max_size=300), st.none() | st.text(max_size=5))
def test_any_text_is_an_entry_or_a_sentence(text: str, entry: str | None) -> None:
    with suppress(InvalidSpec):
        assert read_entry(text, entry).name


_names = st.sampled_from(["f", "g", "_h"])


@given(st.lists(st.tuples(_names, st.sampled_from(["def", "async def", "class"])), max_size=4))
def test_what_is_read_is_what_python_makes(parts: list[tuple[str, str]]) -> None:
    heads = {
        "class": "class {}:\n  def m(self): ...",
        "def": "def {}(): ...",
        "async def": "async def {}(): ...",
    }
    source = "\n".join(heads[how].format(name) for name, how in parts)
    scope = run(source)
    public = {name for name, _ in parts if not name.startswith("_")}
    if len(public) == 1:
        (name,) = public
        assert read_entry(source).kind is kind_of(scope[name])
    else:
        with pytest.raises(InvalidSpec):
            read_entry(source)


def test_the_package_is_a_manifest_that_says_what_it_is() -> None:
    source = "def hello(name='you'):\n    return f'hello {name}'\n"
    package, code = inline_package(source, None, PYTHON)
    again, _ = inline_package(source, "hello", PYTHON)
    assert package.digest == again.digest == code.digest
    blob = b"".join(package.parts())
    manifest, sections = open_package(blob, PYTHON)
    assert sections == []
    assert manifest.inline == inline_source(blob) == source
    assert (code.entry, code.kind, code.signature) == ("hello", Kind.FUNCTION, "(name='you')")
    assert code.size_bytes == len(blob)
    assert inline_source(b"something else") is None
