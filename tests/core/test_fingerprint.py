"""The id of a revision is equal where the code is equal, and only there."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_faas.core.canonical import digest_of
from jupyter_faas.core.capture import capture
from jupyter_faas.core.model import Place, Resources
from tests.core.kernels import in_kernel, notebook

CELL = """
import dataclasses, enum, functools, collections, typing, re, abc, logging
import numpy as np
import pandas as pd

TAGS = {"alpha", "beta", "gamma", "delta", "epsilon"}
TABLE = {"x": {1, 2, 3}, "y": frozenset({"p", "q", "r"}), "z": [1.5, None, b"raw"]}
ARRAY = np.arange(12.0).reshape(3, 4)
OBJECTS = np.array([{"a": 1}, None, "x"], dtype=object)
FRAME = pd.DataFrame({"a": [1, 2], "b": ["u", "v"], "c": pd.to_datetime(["2020-01-01"] * 2)})
LOG = logging.getLogger("x")
PATTERN = re.compile("a+")
T = typing.TypeVar("T")

class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1
    BLUE = 2

@dataclasses.dataclass(slots=True)
class Point:
    x: int
    y: int = 3
    tags: set = dataclasses.field(default_factory=lambda: {"a", "b", "c"})
    def far(self) -> "Point":
        return Point(self.x * 2, self.y)

class Base(abc.ABC):
    @abc.abstractmethod
    def area(self): ...

class Square(Base):
    kinds = {"one", "two", "three"}
    def __init__(self, side): self.side = side
    @functools.cached_property
    def area(self): return self.side ** 2
    @classmethod
    def unit(cls): return cls(1)
    @staticmethod
    def name(): return __class__.__name__
    @property
    def half(self): return super().__repr__()

Pair = collections.namedtuple("Pair", "a b")
DEFAULT = Square(2)

def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)

@functools.cache
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)

def counter():
    count = {"a", "b", "c"}
    def step(by=1, *, over={"k": {"s1", "s2", "s3"}}):
        nonlocal count
        count = by
        return count
    return step
step = counter()

def plain(x): return x + 1
def sets(x): return x in {"alpha", "beta", "gamma"} and x in TAGS and TABLE
def arrays(): return ARRAY, OBJECTS
def frames(): return FRAME.count()
def classes(p: Point, c: Colour = Colour.RED): return Point(1).far(), Colour.BLUE, Pair(1, 2)
def inherit(): return Square.unit().area, DEFAULT
def recurse(n): return fib(n), even(n)
def logs(): LOG.info("x"); return PATTERN.match("aa")
async def waits(): return await plain(1)
def yields(): yield from plain(1)
partial = functools.partial(plain, x=3)
anonymous = lambda y: [z for z in y if z in TAGS]
def typed(x: typing.Optional[T]) -> list[int]: return x
def nested():
    class Inner(Base):
        limit = len(TAGS)
        def area(self): return limit
    return Inner
"""
NAMES = (
    *(
        "plain",
        "sets",
        "arrays",
        "frames",
        "classes",
        "inherit",
        "recurse",
        "even",
        "logs",
        "waits",
    ),
    *("yields", "partial", "anonymous", "typed", "nested", "step", "Point", "Square", "Colour"),
    "fib",
)
IDS = f"{{n: capture(globals()[n]).id for n in {NAMES}}}"
IMPORT = "from jupyter_faas.core.capture import capture"


def test_equal_in_fresh_processes_with_other_hash_seeds_and_cell_names() -> None:
    first = in_kernel(CELL, IMPORT, result=IDS, seed=1, salt=100)
    moved = "# a comment\n\n\n" + CELL.replace("def plain", "# said\n\ndef plain")
    second = in_kernel("unused = 3", moved, IMPORT, result=IDS, seed=4242, salt=7)
    assert {name for name in NAMES if first[name] != second[name]} == set()
    assert len(set(first.values())) == len(NAMES)


def test_equal_after_the_function_was_called() -> None:
    calls = "fib(20); even(3); inherit(); classes(1); frames(); logs()"
    assert in_kernel(CELL, IMPORT, result=IDS) == in_kernel(CELL, calls, IMPORT, result=IDS)


BASE = """
import dataclasses, functools
THRESHOLD = 0.5
SETTINGS = {"a": [1, 2]}
def helper(x, y=1): return x + y
class Model:
    weight = 2
    def __init__(self): self.w = 3
    def predict(self, x): return helper(x) * self.weight
model = Model()
def outer(free):
    def inner(x): return x + free
    return inner
bound = outer(5)
def wrap(function):
    @functools.wraps(function)
    def wrapper(*args): return function(*args)
    return wrapper
@wrap
def decorated(x): return x - 1
def f(x, z=7, *, k=8):
    if x in (1, 2): return decorated(x)
    return model.predict(x) > THRESHOLD, SETTINGS, bound(x), z, "text", k
"""
CHANGES = {
    "body": ('"text"', '"other"'),
    "global": ("THRESHOLD = 0.5", "THRESHOLD = 0.9"),
    "type of a global": ("THRESHOLD = 0.5", "THRESHOLD = 1"),
    "inside a global": ("[1, 2]", "[1, 3]"),
    "default": ("z=7", "z=6"),
    "keyword default": ("k=8", "k=9"),
    "closure value": ("outer(5)", "outer(6)"),
    "helper's body": ("return x + y", "return x - y"),
    "helper's default": ("y=1", "y=2"),
    "class attribute": ("weight = 2", "weight = 3"),
    "method": ("self.w = 3", "self.w = 4"),
    "method's call": ("* self.weight", "+ self.weight"),
    "behind a decorator": ("x - 1", "x - 2"),
    "constant tuple": ("(1, 2)", "(1, 3)"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_of_what_runs_changes_it(change: str) -> None:
    old, new = CHANGES[change]
    assert old in BASE
    before = capture(notebook(BASE)["f"]).id
    assert capture(notebook(BASE.replace(old, new, 1))["f"]).id != before
    assert capture(notebook(BASE)["f"]).id == before


def test_comments_lines_and_file_names_do_not_count() -> None:
    moved = "\n\n# note\n" + BASE.replace("def f", "# more\ndef f").replace(
        "    if x", "\n    if x"
    )
    ids = {capture(notebook(BASE)["f"]).id, capture(notebook(moved, filename="/x/9.py")["f"]).id}
    assert len(ids) == 1


def test_numbers_that_are_equal_but_of_other_types_differ() -> None:
    digests = {digest_of(value) for value in (1, 1.0, True, "1", b"1", (1,), [1], {1}, 1 + 0j)}
    assert len(digests) == 9
    assert digest_of(-0.0) != digest_of(0.0)
    assert digest_of(float("nan")) == digest_of(float("nan"))


def test_sharing_of_mutable_values_counts_and_cycles_end() -> None:
    row = [0]
    assert digest_of([row, row]) != digest_of([[0], [0]])
    loop: list[object] = [1]
    loop.append(loop)
    again: list[object] = [1]
    again.append(again)
    assert digest_of(loop) == digest_of(again) != digest_of([1, [1]])


def test_whatever_can_be_pickled_is_not_too_deep() -> None:
    deep: list[object] = []
    for _ in range(300):
        deep = [deep, {"k": 1}]
    pickle.dumps(deep)
    assert digest_of(deep) != digest_of(deep[0])


@pytest.mark.parametrize("count", [3, 1000])
def test_long_plain_containers_are_told_apart(count: int) -> None:
    rows = [(at, str(at)) for at in range(count)]
    assert digest_of(rows) == digest_of(list(rows))
    assert digest_of(rows) != digest_of([*rows[:-1], (count, "x")])
    assert digest_of(rows) != digest_of(tuple(rows))
    assert digest_of(dict(rows)) != digest_of(rows)
    assert digest_of(list(range(count))) != digest_of(list(map(float, range(count))))


def test_order_of_a_dictionary_counts_and_of_a_set_does_not() -> None:
    assert digest_of({"a": 1, "b": 2}) != digest_of({"b": 2, "a": 1})
    assert digest_of({("x", 1), ("y", 2)}) == digest_of({("y", 2), ("x", 1)})


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(_plain, _plain)
def test_digests_are_equal_exactly_when_the_representations_are(one: object, two: object) -> None:
    assert digest_of(one) == digest_of(one)
    if repr(one) != repr(two):
        assert digest_of(one) != digest_of(two)


def ids_with(**settings_of: object) -> str:
    return capture(notebook("def f(): return 1")["f"], settings=settings_of).id


def test_settings_that_change_what_runs_change_it() -> None:
    ids = [
        ids_with(),
        ids_with(env={"A": "1"}),
        ids_with(timeout_s=1.0),
        ids_with(max_inputs=4),
        ids_with(resources=Resources(memory_mib=1)),
        ids_with(packages=("numpy",)),
        ids_with(place=Place(interpreter="/p", cwd="/a")),
        ids_with(place=Place(interpreter="/p", cwd="/b")),
        ids_with(place=Place(interpreter="/q", cwd="/b")),
    ]
    assert len(set(ids)) == len(ids)


def test_module_path_and_shell_variables_do_not_change_it() -> None:
    one = Place(interpreter="/p", cwd="/a", sys_path=("/x",), environ={"PATH": "/bin"})
    two = Place(interpreter="/p", cwd="/a", sys_path=("/y",), environ={"PATH": "/usr/bin"})
    assert ids_with(place=one) == ids_with(place=two)
