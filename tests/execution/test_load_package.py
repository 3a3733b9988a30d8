"""A package becomes something that can be called; classes, tracebacks, failures, isolation."""

from __future__ import annotations

import linecache
import sys
import traceback
import types
from typing import Any

import msgspec
import numpy as np
import pytest

from jupyter_faas.core import sections
from jupyter_faas.core.capture import Capture, capture
from jupyter_faas.core.errors import BadRequest, EnvironmentMismatch
from jupyter_faas.core.model import Kind
from jupyter_faas.core.package import Manifest, Package
from jupyter_faas.execution.load import load
from tests.core.kernels import notebook


def blob(one: Capture) -> bytearray:
    return bytearray(b"".join(one.package.parts()))


CLASS = """
made = []
class Model:
    def __init__(self):
        made.append(1)
        self.weight = 3
    def predict(self, x): return x * self.weight
    def made(self): return len(made)
    def stream(self):
        yield 1
    def close(self): made.append("closed")
    def _private(self): ...
"""


def test_a_class_is_made_once_and_closed_once() -> None:
    loaded = load(blob(capture(notebook(CLASS)["Model"])))
    assert loaded.kind is Kind.CLASS
    assert loaded.methods["stream"] is Kind.GENERATOR
    assert loaded.call("predict")(2) == 6
    assert loaded.call("made")() == 1
    made = loaded.call("made").__self__.made.__globals__["made"]
    loaded.close()
    loaded.close()
    assert made == [1, "closed"]


def test_a_method_that_is_not_there_is_named() -> None:
    loaded = load(blob(capture(notebook(CLASS)["Model"])))
    with pytest.raises(BadRequest, match="no method 'nope': there are made, predict, stream"):
        loaded.call("nope")
    with pytest.raises(BadRequest, match="to be called by a method"):
        loaded.call()
    with pytest.raises(BadRequest):
        loaded.call("_private")
    function = load(blob(capture(notebook("def f(): return 1")["f"])))
    assert function.call(None)() == 1
    with pytest.raises(BadRequest, match="is a function"):
        function.call("predict")


def test_what_init_raises_passes_through_with_its_lines() -> None:
    source = "class Bad:\n    def __init__(self): raise KeyError('weights')\n    def m(self): ..."
    name = "/tmp/ipykernel_9/55.py"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    package = blob(capture(notebook(source, filename=name)["Bad"]))
    del linecache.cache[name]
    with pytest.raises(KeyError, match="weights") as caught:
        load(package)
    assert "    def __init__(self): raise KeyError('weights')" in "".join(
        traceback.format_exception(caught.value)
    )


def test_captured_arrays_are_writable_and_lie_in_the_blob() -> None:
    one = capture(notebook("def f(): return A", A=np.zeros(50_000))["f"])
    package = blob(one)
    array = load(package).call()()
    array[0] = 1.0
    assert np.shares_memory(array, np.frombuffer(package, dtype=np.uint8))
    assert load(bytes(package)).call()().flags.writeable


def test_another_python_is_refused() -> None:
    manifest = Manifest(python="3.2", name="f", kind=Kind.FUNCTION)
    package = b"".join(Package(manifest, b"", [b""], []).parts())
    with pytest.raises(EnvironmentMismatch, match=r"captured with Python 3\.2"):
        load(package)


def test_a_newer_format_is_refused() -> None:
    head = msgspec.msgpack.encode(Manifest(format=99, python="3.11", name="f", kind=Kind.FUNCTION))
    with pytest.raises(EnvironmentMismatch, match="format 99"):
        load(b"".join(sections.pack([[head], [b""], [b""]])))


def test_digest_and_size_are_those_of_the_blob() -> None:
    import hashlib

    package = capture(notebook("def f(): return A", A=np.zeros(50_000))["f"]).package
    joined = b"".join(package.parts())
    assert package.digest == hashlib.sha256(joined).hexdigest()
    assert package.size_bytes == len(joined)
    package.release()
    assert package.parts() == []
    assert package.size_bytes == len(joined)


def test_user_code_can_pickle_its_own_classes_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "import pickle\nclass P:\n    v = 1\n"
        "def f():\n    return pickle.loads(pickle.dumps(P())).v, pickle.loads(pickle.dumps(f)) is f"
    )
    package = blob(capture(notebook(source)["f"]))
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    assert load(package).call()() == (1, True)


def test_functions_of_one_notebook_share_their_globals() -> None:
    source = "n = 0\ndef up():\n    global n\n    n += 1\ndef f():\n    up()\n    return n"
    function = load(blob(capture(notebook(source)["f"]))).call()
    assert (function(), function()) == (1, 2)


def shipped(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, value: int) -> bytearray:
    """Return a package whose function imports a local module early and late."""
    folder = tmp_path / str(value)
    folder.mkdir()
    (folder / "two_loads.py").write_text(
        f"V = {value}\ndef get():\n    import two_loads\n    return V, two_loads.V\n"
    )
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr(sys, "dont_write_bytecode", True)
        cell = "import two_loads\ndef f():\n    import two_loads as late\n"
        cell += "    return two_loads.get(), late.V"
        package = blob(capture(notebook(cell)["f"]))
    del sys.modules["two_loads"]
    return package


def test_two_packages_in_one_process_never_mix(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (shipped(tmp_path, monkeypatch, value) for value in (1, 2))
    first, second = load(one), load(two)
    for _ in range(2):
        assert first.call()() == ((1, 1), 1)
        assert second.call()() == ((2, 2), 2)
    second.close()
    assert first.call()() == ((1, 1), 1)
    first.close()
    assert "two_loads" not in sys.modules


def test_closing_gives_names_back(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    package = shipped(tmp_path, monkeypatch, 3)
    own = types.ModuleType("two_loads")
    monkeypatch.setitem(sys.modules, "two_loads", own)
    finders = list(sys.meta_path)
    loaded = load(package)
    assert loaded.call()() == ((3, 3), 3)
    assert sys.meta_path != finders
    loaded.close()
    assert sys.modules["two_loads"] is own
    assert sys.meta_path == finders
