"""What a function refers to is found, told and watched."""

from __future__ import annotations

import builtins
import gc
import random
import sys
import threading
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_faas.core.capture import capture
from jupyter_faas.core.errors import InvalidSpec, MissingPackages, NotSerializable
from jupyter_faas.core.model import Kind, Place
from tests.core.elsewhere import Elsewhere
from tests.core.kernels import in_kernel


def captured(main: Any, source: str, name: str = "f", **settings: Any) -> Any:
    return capture(getattr(main(source), name), settings=settings)


RUNS = {
    "global": ("K = 2\ndef f(x): return x * K", 6),
    "closure": ("def make(k):\n    def f(x): return x * k\n    return f\nf = make(4)", 12),
    "recursion": ("def f(n): return 1 if n == 0 else n * f(n - 1)", 6),
    "mutual recursion": (
        "def f(n): return n == 0 or g(n - 1)\ndef g(n): return n != 0 and f(n - 1)",
        False,
    ),
    "lambda": ("f = lambda x: x + 1", 4),
    "partial": ("import functools\ndef g(a, b): return a + b\nf = functools.partial(g, 10)", 13),
    "bound method": ("class A:\n    k = 2\n    def m(self, x): return x * self.k\nf = A().m", 6),
    "callable object": ("class A:\n    def __call__(self, x): return x - 1\nf = A()", 2),
    "cached helper": (
        "import functools\n@functools.cache\ndef g(n): return n if n < 2 else g(n-1) + g(n-2)\n"
        "g(9)\ndef f(x): return g(x), g.cache_info().hits",
        (2, 1),
    ),
    "cached itself": (
        "import functools\n@functools.lru_cache(maxsize=3)\n"
        "def f(n): return n if n < 2 else f(n-1) + f(n-2)",
        2,
    ),
    "decorated": (
        "import functools\ndef twice(g):\n    @functools.wraps(g)\n"
        "    def w(*a): return g(*a) * 2\n    return w\n@twice\ndef f(x): return x + 1",
        8,
    ),
    "import inside": (
        "def f(x):\n    import math, json as j\n    return math.floor(x), j.dumps(x)",
        (3, "3"),
    ),
    "this package": (
        "import jupyter_faas as faas\ndef f(x):\n    try: raise faas.QueueFull(str(x))\n"
        "    except faas.FaasError as error: return str(error)",
        "3",
    ),
    "submodule": (
        "import xml.dom.minidom\ndef f(x): return xml.dom.minidom.__name__",
        "xml.dom.minidom",
    ),
    "class in function": (
        "LIMIT = 3\ndef f(x):\n    class A:\n        limit = LIMIT + x\n    return A.limit",
        6,
    ),
    "classes": (
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int = 1\n"
        "    def up(self): return P(self.x + 1)\ndef f(x): return P(x).up().up().x",
        5,
    ),
    "dispatch": (
        "import functools\n@functools.singledispatch\ndef g(x): return 'any'\n"
        "@g.register\ndef _(x: int): return 'int'\ndef f(x): return g(x), g('')",
        ("int", "any"),
    ),
    "cached property": (
        "import functools\nclass A:\n    @functools.cached_property\n    def v(self): return 7\n"
        "def f(x): return A().v",
        7,
    ),
    "slots": (
        "class A:\n    __slots__ = ('v',)\ndef f(x):\n    return hasattr(A(), '__dict__')",
        False,
    ),
    "keyword default": ("def f(x, *, k={'a': 1}): return k['a'] + x", 4),
    "global statement": ("n = 1\ndef f(x):\n    global n\n    n += x\n    return n", 4),
    "super": (
        "class A:\n    def v(self): return 1\nclass B(A):\n"
        "    def v(self): return super().v() + 1\n"
        "def f(x): return B().v()",
        2,
    ),
    "unbound": (
        "def f(x):\n    try: return missing\n    except NameError: return 'unbound'",
        "unbound",
    ),
    "array": ("import numpy as np\nA = np.arange(5)\ndef f(x): return int(A[x])", 3),
    "logger": ("import logging\nL = logging.getLogger('q')\ndef f(x): return L.name", "q"),
}


@pytest.mark.parametrize("case", RUNS)
def test_a_function_gives_there_what_it_gives_here(
    case: str, main: Any, elsewhere: Elsewhere
) -> None:
    source, expected = RUNS[case]
    module = main(source)
    one = capture(module.f)
    elsewhere.load(one)
    assert elsewhere.call(3) == expected
    if "cached" not in case:
        assert module.f(3) == expected
    assert one.id == capture(main(source).f).id


def test_kinds_are_told(main: Any) -> None:
    module = main(
        "async def a(): ...\ndef g(): yield 1\nasync def ag(): yield 1\ndef f(): ...\n"
        "class C:\n    def __init__(self): ...\n    def m(self): ...\n    def g(self): yield\n"
        "    async def a(self): ...\n    def _p(self): ...\n    def close(self): ...\n"
        "    @staticmethod\n    def s(): ...\nimport functools\npartial = functools.partial(g)\n"
        "class Called:\n    async def __call__(self): ...\ncalled = Called()"
    )
    kinds = {name: capture(getattr(module, name)).code.kind for name in ("a", "g", "ag", "f", "C")}
    assert kinds == {
        "a": Kind.ASYNC,
        "g": Kind.GENERATOR,
        "ag": Kind.ASYNC_GENERATOR,
        "f": Kind.FUNCTION,
        "C": Kind.CLASS,
    }
    assert capture(module.partial).code.kind is Kind.GENERATOR
    assert capture(module.called).code.kind is Kind.ASYNC
    assert capture(module.C).code.methods == {
        "a": Kind.ASYNC,
        "g": Kind.GENERATOR,
        "m": Kind.FUNCTION,
        "s": Kind.FUNCTION,
    }


def test_signature_and_parameters_are_told(main: Any) -> None:
    code = captured(main, "def f(x: int, *rest, y='a', **more) -> str: ...").code
    assert code.signature == "(x: int, *rest, y='a', **more) -> str"
    assert [p["name"] for p in code.parameters] == ["x", "rest", "y", "more"]
    assert code.parameters[0] == {
        "name": "x",
        "kind": "positional_or_keyword",
        "annotation": "int",
    }
    assert code.parameters[2]["default"] == "'a'"


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="cannot be called"):
        capture(3)
    with pytest.raises(InvalidSpec, match="colour"):
        capture(len, settings={"colour": "red"})


UNPICKLABLE = """
import threading
class ApiClient:
    def __init__(self): self._session = Session()
class Session:
    def __init__(self): self.lock = threading.Lock()
client = ApiClient()
def score(x): return client
"""


def test_what_cannot_be_pickled_is_a_tree_and_nothing_is_raised(main: Any) -> None:
    one = captured(main, UNPICKLABLE, "score")
    assert one.report.text().splitlines() == [
        " score cannot be sent",
        " └─ client            ApiClient          global",
        "    └─ _session       Session",
        "       └─ lock        _thread.lock       cannot be pickled",
        " Make the client inside the function, or keep it out with `def __getstate__`.",
    ]
    assert one.report.needs_attention
    with pytest.raises(NotSerializable, match="score → client → _session → lock"):
        one.raise_for_problems()
    with pytest.raises(NotSerializable):
        _ = one.package


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("import threading\nL = threading.Lock()\ndef f(): return L", "f → L"),
        (
            "import threading\ndef mk(l):\n    def f(): return l\n    return f\n"
            "f = mk(threading.Lock())",
            "f → l",
        ),
        ("import threading\nclass C:\n    s = threading.local()\ndef f(): return C", "f → C → s"),
        ("D = {'k': [1, (x for x in [])]}\ndef f(): return D", "f → D → ['k'] → [1]"),
        ("import sys\nF = sys._getframe()\ndef g(): return F\ndef f(): return g()", "f → g → F"),
        ("import threading\ndef f(x=threading.Lock()): ...", "f → a default"),
        (
            "import threading\nclass A:\n    lock = threading.RLock()\n    def m(self): ...\n"
            "f = A().m",
            "m → self → A → lock",
        ),
    ],
)
def test_the_path_leads_to_what_cannot_be_pickled(source: str, path: str, main: Any) -> None:
    with pytest.raises(NotSerializable) as caught:
        captured(main, source).raise_for_problems()
    assert str(caught.value).startswith(f"{path} cannot be sent")


def test_a_missing_module_is_found_unless_the_code_copes_with_its_absence(main: Any) -> None:
    one = captured(
        main,
        "def f():\n"
        "    try:\n        import not_there_a\n    except ImportError:\n        pass\n"
        "    try:\n        import not_there_b\n    finally:\n        pass\n"
        "    with open('x') as file:\n        import not_there_c.sub\n"
        "    def inner():\n        from not_there_d import y\n"
        "    import json.not_there, email.mime.text\n",
    )
    assert one.report.missing == ("not_there_b", "not_there_c", "not_there_d")
    assert "not_there_b" in one.report.text()
    with pytest.raises(MissingPackages, match="not_there_c") as caught:
        one.raise_for_problems()
    assert caught.value.extra["modules"] == ["not_there_b", "not_there_c", "not_there_d"]


def test_a_missing_module_in_a_generator_is_found(main: Any) -> None:
    source = "def f():\n    import not_there_g\n    yield 1\nasync def a():\n    import not_there_a"
    assert captured(main, source).report.missing == ("not_there_g",)
    assert captured(main, source, "a").report.missing == ("not_there_a",)


def test_an_optional_import_is_no_requirement(main: Any) -> None:
    source = (
        "def f():\n    try:\n        import numpy\n    except ImportError:\n        numpy = None"
    )
    assert captured(main, source).code.modules == {}
    versions = captured(main, "def f():\n    import numpy.linalg").code.modules
    assert versions == {"numpy": np.__version__}


def test_captured_globals_are_listed_with_type_and_size(main: Any) -> None:
    report = captured(
        main,
        "import numpy as np\nA = np.zeros(20_000)\nB = {'k': 'v' * 1000}\nC = 'text'\n"
        "class M: ...\ndef g(): ...\ndef f(): return A, B, C, M, g, np",
    ).report
    nodes = {node.label: node for node in report.nodes if node.type}
    assert (nodes["A"].type, nodes["A"].size_bytes) == ("numpy.ndarray", 160_000)
    assert nodes["B"].type == "dict"
    assert 1000 < (nodes["B"].size_bytes or 0) < 1200
    assert nodes["C"].type == "str"
    assert nodes["M"].type == "class"
    assert nodes["g"].type == "function"
    assert nodes["numpy"].note == f"in runner {np.__version__}"
    assert report.size_bytes > 160_000
    assert report.large == ("A",)
    assert "not noticed" in report.text()


def test_a_generator_that_travels_with_its_state_is_pointed_out(main: Any) -> None:
    source = (
        "import random\nimport numpy as np\nfrom numpy.random import rand\n"
        "rng = np.random.default_rng(7)\nstate = np.random.RandomState(3)\n"
        "own, draw = random.Random(4), rng.normal\nshared = np.random.mtrand._rand\n"
        "def f(): return rng, state, own, draw, rand, random.random, np.random.rand, shared"
    )
    noted = [node.label for node in captured(main, source).report.nodes if node.level == "note"]
    assert sorted(noted) == ["draw", "own", "rng", "state"]


def test_the_generator_that_a_library_shares_travels_without_its_state(main: Any) -> None:
    source = (
        "from numpy.random import rand\nfrom random import gauss\n"
        "def f(): return rand(), gauss(0, 1)"
    )
    one = captured(main, source)
    np.random.rand(), random.random()
    assert captured(main, source).id == one.id


def test_secrets_are_named_and_never_shown(main: Any) -> None:
    source = (
        "API_KEY = 'hunter2hunter2'\nCONF = {'db': {'password': 'correct-horse'}}\n"
        "text = 'ghp_0123456789abcdefghijABCDEFGHIJ012345'\npasses = 3\ntitle = 'Secret garden'\n"
        "def f(): return API_KEY, CONF, text, passes, title"
    )
    report = captured(main, source).report
    assert report.secrets == ("API_KEY", "CONF['db']['password']", "text")
    for shown in (report.text(), report.html()):
        assert "hunter2" not in shown
        assert "correct-horse" not in shown
        assert "ghp_" not in shown


def test_variables_that_will_not_be_there_are_named(
    main: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ITEM", "GOT", "GOTTEN", "GIVEN", "SHELL_VARIABLE"):
        monkeypatch.setenv(name, "x")
    source = (
        "import os\nfrom os import environ, getenv\n"
        "def f():\n"
        "    os.environ['ITEM']; os.environ['UNSET']; environ.get('GOT', 1); os.getenv('GOTTEN')\n"
        "    getenv('DEFAULTED', 'd'); os.environ['GIVEN']; os.environ['SHELL_VARIABLE']\n"
        "    os.environ['WRITTEN'] = 'x'\n"
        "    name = 'DYNAMIC'; os.environ[name]\n"
    )
    place = Place(interpreter="p", cwd="/", environ={"SHELL_VARIABLE": "x"})
    report = captured(main, source, env={"GIVEN": "1"}, place=place).report
    assert report.unset == ("GOT", "GOTTEN", "ITEM", "UNSET")
    assert report.is_sendable


def test_html_escapes_whatever_comes_from_the_notebook(main: Any) -> None:
    module = main(
        "import threading\nD = {'<script>alert(1)</script>': threading.Lock()}\ndef f(): return D"
    )
    page = capture(module.f, name="<b>f</b>").report.html()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;script&gt;" in page


def is_stale_after(main: Any, source: str, edit: str) -> bool:
    module = main(source)
    one = capture(module.f)
    assert one.is_current()
    assert one.is_current()
    exec(edit, vars(module))
    return not one.is_current()


STALE = {
    "rebound global": ("K = 1\ndef f(): return K", "K = 2"),
    "type of a global": ("K = 1\ndef f(): return K", "K = True"),
    "deleted global": ("K = 1\ndef f(): return K", "del K"),
    "global that appears": ("def f(): return K", "K = 1"),
    "dictionary": ("D = {'a': {'b': 1}}\ndef f(): return D", "D['a']['b'] = 2"),
    "flat dictionary": ("D = {'a': 1}\ndef f(): return D", "D['a'] = True"),
    "list": ("L = [1]\ndef f(): return L", "L.append(2)"),
    "set": ("S = {1}\ndef f(): return S", "S.add(2)"),
    "small array": ("import numpy as np\nA = np.zeros(3)\ndef f(): return A", "A[0] = 1"),
    "attribute": ("class O: ...\no = O(); o.v = 1\ndef f(): return o", "o.v = 2"),
    "nested attribute": ("class O: ...\no = O(); o.v = [O()]\ndef f(): return o", "o.v[0].w = 2"),
    "helper's code": ("def g(): return 1\ndef f(): return g()", "def g(): return 2"),
    "helper's global": ("K = 1\ndef g(): return K\ndef f(): return g()", "K = 2"),
    "own code": ("def f(): return 1", "f.__code__ = (lambda: 2).__code__"),
    "default": ("def f(x=1): return 1", "f.__defaults__ = (2,)"),
    "mutable default": ("def f(x=[]): return x", "f.__defaults__[0].append(1)"),
    "closure": (
        "def make():\n    n = 1\n    def f(): return n\n    def s(v):\n        nonlocal n\n"
        "        n = v\n"
        "    return f, s\nf, s = make()",
        "s(2)",
    ),
    "class attribute": ("class C:\n    v = 1\ndef f(): return C", "C.v = 2"),
    "new class attribute": ("class C:\n    v = 1\ndef f(): return C", "C.w = 2"),
    "method": ("class C:\n    def m(self): ...\ndef f(): return C", "C.m = lambda self: 1"),
    "method's global": ("K = 1\nclass C:\n    def m(self): return K\ndef f(): return C", "K = 2"),
    "base's method": (
        "class B:\n    def m(self): ...\nclass C(B): ...\ndef f(): return C",
        "B.m = lambda self: 1",
    ),
    "class list": ("class C:\n    v = []\ndef f(): return C", "C.v.append(1)"),
    "instance's class": ("class C:\n    v = 1\nc = C()\ndef f(): return c", "C.v = 2"),
    "function in a list": ("K = 1\nL = [lambda: K]\ndef f(): return L[0]()", "K = 2"),
    "behind a cache": (
        "import functools\nK = 1\n@functools.cache\ndef g(): return K\ndef f(): return g()",
        "K = 2",
    ),
    "behind a partial": (
        "import functools\nK = 1\ndef g(): return K\np = functools.partial(g)\ndef f(): return p()",
        "K = 2",
    ),
    "behind a decorator": (
        "import functools\nK = 1\ndef d(g):\n    @functools.wraps(g)\n    def w(): return g()\n"
        "    return w\n@d\ndef f(): return K",
        "K = 2",
    ),
    "large array, rebound": (
        "import numpy as np\nA = np.zeros(50_000)\ndef f(): return A",
        "A = A.copy()",
    ),
    "submodule's global in a nested function": (
        "K = 1\ndef f():\n    def g(): return K\n    return g",
        "K = 2",
    ),
    "property": (
        "K = 1\nclass C:\n    @property\n    def p(self): return K\ndef f(): return C",
        "K = 2",
    ),
}


@pytest.mark.parametrize("case", STALE)
def test_a_change_is_noticed(case: str, main: Any) -> None:
    source, edit = STALE[case]
    assert is_stale_after(main, source, edit)


SAME = {
    "nothing": ("K = 1\ndef f(): return K", "pass"),
    "equal number": ("K = 1000\ndef f(): return K", "K = int('1000')"),
    "equal text": ("K = 'abcdefgh'\ndef f(): return K", "K = ''.join(['abcd', 'efgh'])"),
    "another global": ("K = 1\ndef f(): return K", "J = 2"),
    "restored": ("D = {'a': 1}\ndef f(): return D", "D['a'] = 2; D['a'] = 1"),
    "calls": (
        "import functools\n@functools.cache\ndef g(x): return x\ndef f(): return g(1)",
        "f()",
    ),
    "numbers drawn": (
        "from numpy.random import rand\nfrom random import gauss, random\n"
        "def f(): return rand(), gauss(0, 1), random()",
        "f()",
    ),
    "instances": (
        "class C:\n    def __init__(self): ...\ndef f(): return C()",
        "import copy; copy.copy(f())",
    ),
    "large array, in place": (
        "import numpy as np\nA = np.zeros(50_000)\ndef f(): return A",
        "A[0] = 1",
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_what_is_no_change_is_not_taken_for_one(case: str, main: Any) -> None:
    source, edit = SAME[case]
    assert not is_stale_after(main, source, edit)


def best_us(run: Any, count: int) -> float:
    gc.collect()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(count):
            run()
        times.append((time.perf_counter() - began) / count * 1e6)
    return min(times)


def test_asking_whether_it_is_current_is_fast_enough_for_every_call(main: Any) -> None:
    source = "limit = 0.5\nsettings = {'a': 1, 'b': [1, 2]}\ndef f(x): return x > limit, settings"
    assert best_us(captured(main, source).is_current, 500) < 1_000


def test_capturing_a_simple_function_is_fast_enough(main: Any) -> None:
    source = "threshold = 0.5\nsettings = {'a': 1}\ndef f(x): return x > threshold, settings"
    assert best_us(lambda: captured(main, source), 20) < 50_000


def test_nothing_heavy_is_imported() -> None:
    found = in_kernel(
        "def f(x):\n    import numpy\n    return numpy.zeros(x)",
        "from jupyter_faas.core.capture import capture",
        "one = capture(f)",
        "heavy = {'numpy', 'pandas', 'IPython', 'asyncio'}",
        result="[one.code.modules, sorted(heavy & {*sys.modules})]",
    )
    assert found == [{"numpy": np.__version__}, []]


def test_a_handle_travels_and_is_listed_but_not_the_function_itself(main: Any) -> None:
    source = """
class Handle:
    __faas_handle__ = lambda self: self.__reduce__()
    def __init__(self, name, local): self.name, self.__wrapped__ = name, local
    def __call__(self, *a): return self.__wrapped__(*a)
    def __reduce__(self): return Handle, (self.name, self.__wrapped__)
def inner(x): return x + 1
inner = Handle("inner", inner)
def f(n): return 1 if n == 0 else n * f(n - 1) + inner(0) - 1
f = Handle("f", f)
"""
    module = main(source)
    one = capture(module.f.__wrapped__)
    assert [handle.name for handle in one.handles] == ["inner"]
    again = main(source.replace("x + 1", "x + 2"))
    assert capture(again.f.__wrapped__).id != one.id


def test_ipython_names_do_not_break_a_function(main: Any, elsewhere: Elsewhere) -> None:
    core = types.ModuleType("IPython.core.interactiveshell")
    exec("def open(*a): return 'shell'", vars(core))

    class Shell:
        lock = threading.Lock()

        def __init__(self) -> None:
            self.lock = threading.Lock()

        def get_ipython(self) -> Any:
            return self

    Shell.__module__ = "ipykernel.zmqshell"
    module = main(
        "def f(p):\n    if get_ipython() is None:\n"
        "        with open(p) as file: return file.read(4)",
        get_ipython=Shell().get_ipython,
        open=vars(core)["open"],
    )
    elsewhere.load(capture(module.f))
    assert elsewhere.call("/proc/self/comm") == Path("/proc/self/comm").read_text()[:0] + "pyth"
    assert builtins.open is not vars(core)["open"]


def test_a_weak_dictionary_travels(main: Any, elsewhere: Elsewhere) -> None:
    module = main(
        "import weakref\nclass K: ...\nkey = K()\nW = weakref.WeakKeyDictionary({key: 3})\n"
        "def f(): return W[key]"
    )
    elsewhere.load(capture(module.f))
    assert elsewhere.call() == 3


def test_capturing_leaves_no_trace_in_what_is_captured(main: Any) -> None:
    module = main("D = {'a': [1]}\nclass C: ...\ndef f(): return D, C")
    before = set(vars(module)), set(vars(module.f)), sys.getrefcount(module.D)
    capture(module.f)
    gc.collect()
    assert (set(vars(module)), set(vars(module.f)), sys.getrefcount(module.D)) == before
