"""Local modules: which travel, with what, and when a function has changed because of them."""

from __future__ import annotations

import importlib
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_faas.core.capture import capture
from jupyter_faas.core.modules import is_local, locate
from tests.core.elsewhere import Elsewhere
from tests.core.kernels import in_kernel

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write local modules next to the notebook: `write(**{"pkg/__init__.py": source})`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def put(files: dict[str, str]) -> Path:
        for name, source in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source))
        importlib.invalidate_caches()
        return tmp_path

    yield put
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and file.startswith(str(tmp_path)):
            del sys.modules[name]


HELPERS = """
import threading
from collections import defaultdict
LOCK = threading.Lock()
RATE = 2
SETTINGS = dict(a=1)
_cache = defaultdict(int)
def scale(x):
    # a comment
    with LOCK:
        return x * RATE + SETTINGS["a"]
class Thing:
    def __init__(self, v): self.v = v
    def __eq__(self, other): return type(self) is type(other) and self.v == other.v
"""


def test_a_helper_module_with_a_held_lock_travels_as_source(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    write({"fa_helpers.py": HELPERS})
    module = main("import fa_helpers\ndef f(x): return fa_helpers.scale(x), fa_helpers.Thing(x)")
    with module.fa_helpers.LOCK:
        one = capture(module.f)
    assert list(one.modules.local) == ["fa_helpers"]
    elsewhere.load(one)
    assert elsewhere.call(3) == (7, module.fa_helpers.Thing(3))
    assert [n.note for n in one.report.nodes if n.label == "fa_helpers"] == ["by value"]


def test_a_function_imported_from_a_module_travels(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    write({"fb_helpers.py": HELPERS})
    module = main("from fb_helpers import scale, Thing as T\ndef f(x): return scale(x), T(1)")
    elsewhere.load(capture(module.f))
    assert elsewhere.call(1) == (3, module.T(1))


def test_a_function_of_a_module_can_itself_be_sent(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    write({"fc_helpers.py": HELPERS + "class Empty:\n    def get(self): return 4\n"})
    one = capture(main("import fc_helpers").fc_helpers.scale)
    assert one.package.manifest.module == "fc_helpers"
    elsewhere.load(one)
    assert elsewhere.call(2) == 5
    elsewhere.load(capture(sys.modules["fc_helpers"].Empty))
    assert elsewhere.call(method="get") == 4


PACKAGE = {
    "fpkg/__init__.py": "from .core import run\nNAME = 'fpkg'\n",
    "fpkg/core.py": "from . import deep\nfrom .deep.more import LEVEL\n"
    "def run(x):\n    from . import late\n    import fpkg.later as l\n"
    "    return x + LEVEL + late.N + l.N + deep.D\n",
    "fpkg/deep/__init__.py": "D = 1000\n",
    "fpkg/deep/more.py": "from ...fpkg.deep import D\nLEVEL = 1\n".replace("...fpkg.deep", ".."),
    "fpkg/late.py": "N = 10\n",
    "fpkg/later.py": "from fpkg.deep import D as E\nN = 100\n",
    "fpkg/unused.py": "raise RuntimeError('never imported')\n",
}


def test_a_package_travels_with_relative_and_late_imports(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    files = {**PACKAGE, "fpkg/deep/more.py": "from . import D\nLEVEL = 1\n"}
    write(files)
    module = main("import fpkg\ndef f(x): return fpkg.run(x), fpkg.NAME")
    one = capture(module.f)
    assert set(one.modules.local) == {
        "fpkg",
        "fpkg.core",
        "fpkg.deep",
        "fpkg.deep.more",
        "fpkg.late",
        "fpkg.later",
    }
    elsewhere.load(one)
    assert elsewhere.call(0) == (1111, "fpkg")


def test_a_submodule_imported_inside_the_function_travels(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    write({"fsub/__init__.py": "", "fsub/part.py": "V = 5"})
    module = main("def f():\n    import fsub.part\n    return fsub.part.V")
    elsewhere.load(capture(module.f))
    assert elsewhere.call() == 5
    assert "fsub" not in sys.modules


def test_a_namespace_package_travels(write: Write, main: Any, elsewhere: Elsewhere) -> None:
    write({"fns/part.py": "V = 6"})
    module = main("import fns.part\ndef f(): return fns.part.V")
    elsewhere.load(capture(module.f))
    assert elsewhere.call() == 6


def test_modules_that_import_each_other_travel(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    write(
        {
            "fone.py": "import ftwo\ndef a(n): return n and ftwo.b(n - 1)",
            "ftwo.py": "import fone\ndef b(n): return n and fone.a(n - 1)",
        }
    )
    module = main("import fone\ndef f(n): return fone.a(n)")
    elsewhere.load(capture(module.f))
    assert elsewhere.call(5) == 0


def test_plain_data_that_the_notebook_has_set_travels(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    write(
        {
            "fd_helpers.py": HELPERS,
            "fd_other.py": "from fd_helpers import SETTINGS\ndef get(): return SETTINGS",
        }
    )
    module = main(
        "import fd_helpers, fd_other\nfd_helpers.RATE = 10\nfd_helpers.SETTINGS['a'] = 5\n"
        "def f(x): return fd_helpers.scale(x), fd_other.get() is fd_helpers.SETTINGS"
    )
    elsewhere.load(capture(module.f))
    assert elsewhere.call(1) == (15, True)


def test_what_modules_collect_while_they_are_imported_is_not_doubled(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    write(
        {
            "freg/__init__.py": "NAMES = []\ndef names(): return NAMES\nfrom . import a, b",
            "freg/a.py": "from . import NAMES\nNAMES.append('a')",
            "freg/b.py": "from . import NAMES\nNAMES.append('b')",
        }
    )
    module = main("import freg\ndef f(): return freg.names()")
    elsewhere.load(capture(module.f))
    assert elsewhere.call() == ["a", "b"]


def test_a_wrapper_made_by_a_module_keeps_that_modules_globals(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    write(
        {
            "fdec.py": """
        import functools, threading
        LOCK = threading.Lock()
        def guarded(function):
            @functools.wraps(function)
            def wrapper(*args):
                with LOCK:
                    return function(*args), LOCK.locked()
            return wrapper
    """
        }
    )
    module = main("from fdec import guarded\n@guarded\ndef f(x): return x + 1")
    one = capture(module.f)
    elsewhere.load(one)
    assert elsewhere.call(1) == (2, True)


def test_two_versions_of_one_module_are_never_mixed(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    folder = write({"fver.py": "V = 'old'\ndef get(): return V"})
    cell = "import fver\ndef f():\n    import fver as again\n    return fver.get(), again.V"
    old = capture(main(cell).f)
    (folder / "fver.py").write_text("V = 'newer'\ndef get(): return V")
    importlib.reload(sys.modules["fver"])
    assert not old.is_current()
    new = capture(main(cell).f)
    assert old.id != new.id
    for one, expected in ((old, "old"), (new, "newer"), (old, "old")):
        elsewhere.load(one)
        assert elsewhere.call() == (expected, expected)


def test_an_edit_counts_when_the_module_is_reloaded_not_before(write: Write, main: Any) -> None:
    folder = write({"fed.py": "def get():\n    return 1\n"})
    module = main("import fed\ndef f(): return fed.get()")
    one = capture(module.f)
    (folder / "fed.py").write_text("def get():\n    return 22\n")
    assert one.is_current()
    assert capture(module.f).id == one.id
    importlib.reload(sys.modules["fed"])
    assert not one.is_current()
    assert capture(module.f).id != one.id


def test_a_module_patched_in_place_by_autoreload_is_noticed(
    write: Write, main: Any, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    patcher = "IPython.extensions.deduperreload.deduperreload"
    monkeypatch.setitem(sys.modules, patcher, types.ModuleType(patcher))
    folder = write({"fpat.py": "def get():\n    return 1\n"})
    module = main("import fpat\ndef f(): return fpat.get()")
    one = capture(module.f)
    assert one.is_current()
    (folder / "fpat.py").write_text("def get():\n    return 22\n")
    assert not one.is_current()
    assert capture(module.f).id == one.id
    module.fpat.get.__code__ = (lambda: 22).__code__.replace(co_name="get", co_qualname="get")
    new = capture(module.f)
    assert new.id != one.id
    assert new.is_current()
    elsewhere.load(new)
    assert elsewhere.call() == 22


def test_an_edit_before_the_first_capture_ships_what_runs_here(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    folder = write({"fold.py": "def get():\n    return 'runs here'\n"})
    module = main("import fold\ndef f(): return fold.get()")
    (folder / "fold.py").write_text("def get():\n    return 'only on disk'\n")
    one = capture(module.f)
    assert any("edited" in node.note for node in one.report.nodes if node.label == "fold")


def test_comments_and_layout_of_a_module_do_not_count_but_code_does(tmp_path: Path) -> None:
    cell = "import fhelp\ndef f(x): return fhelp.scale(x)"
    ids = []
    for at, source in enumerate(
        (
            HELPERS,
            "# more\n\n" + HELPERS.replace("# a comment", "# other"),
            HELPERS.replace("x * RATE", "x + RATE"),
        )
    ):
        folder = tmp_path / str(at)
        folder.mkdir()
        (folder / "fhelp.py").write_text(source)
        ids.append(
            in_kernel(
                cell,
                "from jupyter_faas.core.capture import capture",
                result="capture(f).id",
                path=folder,
                seed=at,
            )
        )
    assert ids[0] == ids[1] != ids[2]


def test_plain_data_of_a_module_counts_if_a_function_reads_it(write: Write, main: Any) -> None:
    write({"fdat.py": "import time\nSTARTED = time.time()\nLIMIT = 3\ndef get(): return LIMIT"})
    module = main("import fdat\ndef f(): return fdat.get()")
    one = capture(module.f)
    module.fdat.STARTED = 1.0
    assert capture(module.f).id == one.id
    module.fdat.LIMIT = 4
    assert not one.is_current()
    assert capture(module.f).id != one.id


def test_a_module_without_what_it_imports_late_is_reported(write: Write, main: Any) -> None:
    write({"fmiss.py": "def get():\n    import not_there_m\n"})
    report = capture(main("import fmiss\ndef f(): return fmiss.get()").f).report
    assert report.missing == ("not_there_m",)
    assert "imported by fmiss" in report.text()


def test_a_module_that_fails_there_says_so_with_its_own_lines(
    write: Write, main: Any, elsewhere: Elsewhere
) -> None:
    folder = write(
        {
            "fbad.py": "import os\nif not os.environ.get('FBAD_OK'):\n"
            "    raise RuntimeError('no luck')\n"
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FBAD_OK", "1")
        module = main("import fbad\ndef f(): return fbad")
        one = capture(module.f)
    (folder / "fbad.py").write_text("# another content\n" * 3)
    with pytest.raises(RuntimeError, match="no luck"):
        elsewhere.load(one)
    assert "raise RuntimeError('no luck')" in elsewhere.traceback
    with pytest.raises(ModuleNotFoundError):
        elsewhere.echo(module.fbad and sys.modules["fbad"].__spec__ and _Ghost())


class _Ghost:
    def __reduce__(self) -> Any:
        return importlib.import_module, ("fbad",)


def test_what_is_local_and_what_is_not(write: Write) -> None:
    write({"floc.py": ""})
    assert is_local("floc")
    for name in (
        "json",
        "os.path",
        "numpy",
        "numpy.linalg",
        "pytest",
        "sys",
        "not_there",
        "jupyter_faas.core",
        "__main__",
        "_thread",
    ):
        assert not is_local(name), name
    assert locate("floc.sub") is None
