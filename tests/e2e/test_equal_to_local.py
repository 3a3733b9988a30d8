"""`.remote` is equal to local: whatever a notebook defines, with a real kernel and replicas."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway import Gateway
from tests.notebook.kernel import Kernel
from tests.notebook.kernel import kernel as run_kernel

# Code that is ended says so in a file: it has the time for that on a busy machine, too.
SETTINGS = {"FAAS_CANCEL_GRACE_S": "5"}

CELLS = {
    "a generator that a plain function returns": """
        @serverless
        def lazily(n): return (x * x for x in range(n))
        assert list(lazily.remote(4)) == list(lazily(4))
        assert list(lazily.remote(0)) == []
    """,
    "an exception whose __init__ takes other arguments than it passes on": """
        class Told(Exception):
            def __init__(self, code, *, text):
                super().__init__(f"{code}: {text}")
                self.code = code
        @serverless
        def tells(): raise Told(3, text="t")
        @serverless
        def passes_on(): return tells.remote()
        try: passes_on.remote()
        except Told as e: assert (e.code, str(e), len(e.__notes__)) == (3, "3: t", 1)
    """,
    "a closure": """
        def make(k):
            @serverless(name="closure")
            def add(x): return x + k
            return add
        f = make(10)
        assert f.remote(1) == f(1) == 11
        g = make(20)
        assert g.remote(1) == g(1) == 21
    """,
    "a global, and the global changed": """
        threshold = {"low": 1}
        @serverless
        def limit(): return threshold
        assert limit.remote() == {"low": 1}
        threshold["low"] = 2
        assert limit.remote() == limit() == {"low": 2}
        threshold = 7
        assert limit.remote() == 7
        assert [r.number for r in limit.revisions()] == [3, 2, 1]
    """,
    "recursion": """
        @serverless
        def factorial(n): return 1 if n < 2 else n * factorial(n - 1)
        assert factorial.remote(20) == factorial(20)
    """,
    "mutual recursion": """
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        @serverless
        def is_even(n): return even(n)
        assert [is_even.remote(n) for n in range(4)] == [True, False, True, False]
    """,
    "remote functions that call each other": """
        @serverless
        def ping(n): return "ping" if n == 0 else pong.remote(n - 1)
        @serverless
        def pong(n): return "pong" if n == 0 else ping.remote(n - 1)
        assert [ping.remote(n) for n in range(4)] == ["ping", "pong", "ping", "pong"]
        assert [r.number for r in pong.revisions()] == [1]
    """,
    "classes, dataclasses, enums and named tuples of the notebook": """
        import dataclasses, enum, typing
        class Plain:
            def __init__(self, x): self.x = x
            def __eq__(self, other): return type(self) is type(other) and self.x == other.x
        @dataclasses.dataclass(frozen=True)
        class Point:
            x: int
            y: int = 0
            def length(self): return abs(self.x) + abs(self.y)
        class Colour(enum.Enum):
            RED = 1
            BLUE = 2
        class Pair(typing.NamedTuple):
            a: int
            b: int
        @serverless
        def mirror(value): return value
        for value in (Plain(3), Point(1, 2), Colour.BLUE, Pair(1, 2)):
            there = mirror.remote(value)
            assert type(there) is type(value) and there == value, value
        assert mirror.remote(Colour.RED) is Colour.RED
        inside = mirror.remote({"all": [Plain(1), {Point(3): Colour.BLUE}]})
        assert inside == {"all": [Plain(1), {Point(3): Colour.BLUE}]}
        @serverless
        def build(n): return [Point(i).length() for i in range(n)], Point(n)
        lengths, last = build.remote(3)
        assert lengths == [0, 1, 2] and last == Point(3) and isinstance(last, Point)
    """,
    "lambdas and functions as values": """
        square = lambda x: x * x
        @serverless
        def apply(f, x): return f(square(x))
        assert apply.remote(lambda y: y + 1, 3) == apply(lambda y: y + 1, 3) == 10
        short = serverless(name="short")(lambda x: -x)
        assert short.remote(2) == -2
    """,
    "calls within calls, which name those they are made in": """
        from jupyter_faas.core import context
        @serverless
        def third(): return context.current.get().ancestry
        @serverless
        def second(): return context.current.get().id, third.remote()
        @serverless
        def first(): return context.current.get().id, second.remote()
        one, (two, ancestry) = first.remote()
        assert ancestry == f"{two},{one}", (one, two, ancestry)
    """,
    "numpy and pandas": """
        import numpy as np, pandas as pd
        weights = np.arange(4.0)
        @serverless
        def weigh(frame): return frame.assign(w=weights).sum()
        frame = pd.DataFrame({"a": [1, 2, 3, 4]})
        pd.testing.assert_series_equal(weigh.remote(frame), weigh(frame))
        @serverless
        def double(a): return a * 2
        big = np.ones((300, 1000))
        there = double.remote(big)
        assert (there == 2).all() and there.shape == big.shape
        there[0, 0] = 5
    """,
    "exceptions of the notebook, with the cell's source lines": """
        class Refused(Exception):
            def __init__(self, code): super().__init__(code); self.code = code
        @serverless
        def refuse(code):
            raise Refused(code)  # this very line
        try:
            refuse.remote(7)
        except Refused as error:
            assert error.code == 7
            assert "this very line" in "".join(error.__notes__), error.__notes__
        else:
            raise AssertionError("nothing was raised")
        @serverless
        def chained():
            try:
                {}["gone"]
            except KeyError as error:
                raise ValueError("no") from error
        try:
            chained.remote()
        except ValueError as error:
            assert isinstance(error.__cause__, KeyError)
    """,
    "async functions": """
        import asyncio
        @serverless
        async def later(x):
            await asyncio.sleep(0.01)
            return x + 1
        assert later.remote(1) == 2
        assert await later.remote.aio(1) == await later(1) == 2
        assert await asyncio.gather(*(later.remote.aio(x) for x in range(3))) == [1, 2, 3]
    """,
    "generators, whose first item is here before the last is made": """
        import os, tempfile, time
        folder = tempfile.mkdtemp()
        @serverless
        def count(n, folder):
            for i in range(n):
                yield i
                while i == 0 and not os.path.exists(folder + "/go"):
                    time.sleep(0.005)
        items = count.remote(3, folder)
        assert next(items) == 0
        open(folder + "/go", "w").close()
        assert list(items) == [1, 2]
        @serverless
        async def count_async(n):
            for i in range(n):
                yield i
        assert list(count_async.remote(3)) == [0, 1, 2]
        assert [i async for i in count_async.remote.aio(3)] == [0, 1, 2]
        @serverless
        def breaks_off():
            yield 1
            raise LookupError("no more")
        items = breaks_off.remote()
        assert next(items) == 1
        try: next(items)
        except LookupError: pass
    """,
    "a class is loaded once per replica": """
        @serverless(max_containers=1)
        class Model:
            def __init__(self): self.bias, self.calls = 10, 0
            def predict(self, x):
                self.calls += 1
                return x + self.bias, self.calls
            def stream(self, n): yield from range(n)
        assert Model.predict.remote(1) == (11, 1)
        assert Model.predict.remote(1) == (11, 2)
        assert list(Model.stream.remote(3)) == [0, 1, 2]
        assert Model().predict(1) == (11, 1)
    """,
    "functools.cache helpers": """
        import functools
        @functools.cache
        def slow(x): return {"x": x}
        slow(1)
        @serverless(max_containers=1)
        def cached(x):
            one = slow(x)
            return slow(x) is one, slow.cache_info().currsize
        assert cached.remote(2) == (True, 1)
        assert cached.remote(2) == (True, 1)
        assert cached.remote(3) == (True, 2)
    """,
    "relative paths": """
        open("numbers.txt", "w").write("1 2 3")
        @serverless
        def total(): return sum(map(int, open("numbers.txt").read().split()))
        assert total.remote() == total() == 6
    """,
    "a function that uses another remote function": """
        @serverless
        def inner(x): return x + 1
        @serverless
        def outer(x): return inner(x), inner.remote(x) * 10
        assert outer.remote(1) == outer(1) == (2, 20)
    """,
    "arguments by name, defaults, many of them": """
        @serverless
        def many(a, /, b, *rest, c=3, **more): return a, b, rest, c, more
        assert many.remote(1, 2, 3, c=4, d=5) == many(1, 2, 3, c=4, d=5)
        assert many.remote(1, b=2) == many(1, b=2)
        try: many.remote()
        except TypeError: pass
        else: raise AssertionError("no TypeError")
    """,
    "replicas draw different random numbers": """
        import random, numpy as np, os, tempfile, time
        from concurrent.futures import ThreadPoolExecutor
        @serverless(max_containers=4)
        def draw(folder):
            open(f"{folder}/{os.getpid()}", "w").close()
            while len(os.listdir(folder)) < 4:  # each holds its replica until all have one
                time.sleep(0.005)
            return os.getpid(), random.random(), float(np.random.rand())
        folder = tempfile.mkdtemp()
        with ThreadPoolExecutor(4) as pool:
            drawn = list(pool.map(lambda _: draw.remote(folder), range(4)))
        assert len({pid for pid, _, _ in drawn}) == 4
        assert len({a for _, a, _ in drawn}) == len({b for _, _, b in drawn}) == 4
    """,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The notebook's folder, with a module and a package next to it."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "helper.py").write_text(
        "import threading\nlock = threading.Lock()\nfactor = 2\n\n"
        "def scale(x):\n    with lock:\n        return x * factor\n"
    )
    package = folder / "kit"
    (package / "parts").mkdir(parents=True)
    (package / "__init__.py").write_text("from .core import Base\n")
    (package / "core.py").write_text("from . import names\n\nclass Base:\n    kind = names.KIND\n")
    (package / "names.py").write_text("KIND = 'base'\n")
    (package / "parts" / "__init__.py").write_text("")
    (package / "parts" / "late.py").write_text(
        "from ..names import KIND\n\ndef late():\n    return KIND + ' late'\n"
    )
    return folder


def environ_of(gateway: Gateway) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAAS_")}
    return {**kept, "FAAS_STATE_DIR": str(gateway.state_dir), "JPY_SESSION_NAME": "equal.ipynb"}


@pytest.fixture(scope="module")
def kernel(gateway: Gateway, folder: Path) -> Iterator[Kernel]:
    with run_kernel(environ_of(gateway), str(folder)) as running:
        running.run("import jupyter_faas as faas\nfrom jupyter_faas import serverless")
        yield running


def dedent(code: str) -> str:
    return "\n".join(line[8:] for line in code.strip("\n").split("\n"))


@pytest.mark.parametrize("claim", CELLS)
def test_remote_is_equal_to_local_for(claim: str, kernel: Kernel) -> None:
    kernel.run(dedent(CELLS[claim]))


def test_a_module_next_to_the_notebook_travels_and_its_edit_is_a_revision(
    kernel: Kernel, folder: Path
) -> None:
    kernel.run(
        "import importlib, helper\n@serverless\ndef scaled(x): return helper.scale(x)\n"
        "assert scaled.remote(3) == scaled(3) == 6"
    )
    source = (folder / "helper.py").read_text()
    (folder / "helper.py").write_text(source.replace("x * factor", "x * factor + 1"))
    kernel.run(
        "import os; os.utime('helper.py', (2**31 - 1, 2**31 - 1)); importlib.reload(helper)\n"
        "assert scaled.remote(3) == scaled(3) == 7\n"
        "assert [r.number for r in scaled.revisions()] == [2, 1]"
    )


def test_a_package_next_to_the_notebook_travels(kernel: Kernel) -> None:
    kernel.run(
        "import kit\n@serverless\ndef kinds(base):\n"
        "    import kit.parts.late\n"
        "    return isinstance(base, kit.Base), base.kind, kit.parts.late.late()\n"
        "assert kinds.remote(kit.Base()) == kinds(kit.Base()) == (True, 'base', 'base late')\n"
        "@serverless\ndef make_base(): return kit.Base()\n"
        "assert type(make_base.remote()) is kit.Base"
    )


def test_prints_reach_the_cell_and_only_it(kernel: Kernel) -> None:
    cell = kernel.run(
        "import sys\n@serverless\ndef talk(n):\n"
        "    for i in range(n): print('line', i)\n"
        "    print('oops', file=sys.stderr)\n"
        "talk.remote(3)"
    )
    assert kernel.text(cell) == "line 0\nline 1\nline 2\n"
    assert kernel.text(cell, "stderr") == "oops\n"


def test_interrupting_the_cell_stops_the_code(kernel: Kernel, folder: Path) -> None:
    kernel.run(
        "import time\n@serverless\ndef long(path):\n"
        "    try:\n        print('started', flush=True)\n        time.sleep(30)\n"
        "    finally: open(path, 'w').write(str(time.time()))\n"
    )
    cell = kernel.start(f"long.remote({str(folder / 'ended')!r})")
    while "started" not in kernel.text(cell):
        kernel.collect(20)
    kernel.run_interrupt(cell)
    ended = folder / "ended"
    from tests.support import wait_until

    wait_until(lambda: ended.exists() and ended.read_text())
    assert float(ended.read_text()) - kernel.interrupted_s < 15.0


def test_code_and_class_identity_outlive_the_kernel(kernel: Kernel) -> None:
    cell = (
        "import jupyter_faas as faas\nfrom jupyter_faas import serverless\n"
        "import dataclasses\n"
        "@dataclasses.dataclass\nclass Kept:\n    x: int\n"
        "class KeptError(Exception): pass\n"
        "@serverless\ndef keep(x, fails=False):\n"
        "    if fails: raise KeptError('kept')\n"
        "    return Kept(x)\n"
    )
    check = (
        "r = keep.remote(3)\n"
        "assert type(r) is Kept and r == Kept(3)\n"
        "try: faas.function('keep').remote(1, fails=True)\n"
        "except KeptError: pass\n"
        "assert faas.function('keep').remote(4) == Kept(4)\n"
        "assert [r.number for r in keep.revisions()] == [1]\n"
    )
    kernel.run(cell)
    kernel.run(check)
    kernel.restart()
    kernel.run(cell)
    kernel.run(check)


def test_a_second_notebook_does_not_call_this_ones_code(
    kernel: Kernel, gateway: Gateway, folder: Path
) -> None:
    kernel.run("@serverless\ndef whose(): return 'first'\nassert whose.remote() == 'first'")
    other = {**environ_of(gateway), "JPY_SESSION_NAME": "other.ipynb"}
    with run_kernel(other, str(folder)) as second:
        second.run("import jupyter_faas as faas\nfrom jupyter_faas import serverless")
        second.run("@serverless\ndef whose(): return 'second'")
        error = second.error("whose.remote()")
        assert error["ename"] == "NameTaken"
        assert "equal.ipynb" in error["evalue"]
        second.run("whose.deploy(take_over=True)\nassert whose.remote() == 'second'")
    assert kernel.error("whose.remote()")["ename"] == "NameTaken"
    assert kernel.error("@serverless\ndef whose(): return 'third'\nwhose.remote()")["ename"] == (
        "NameTaken"
    )
