"""Payloads: what goes out comes back as the reader's own."""

from __future__ import annotations

import datetime
import decimal
import textwrap
import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_faas.core import codec, sections
from jupyter_faas.core.classes import ClassTable
from jupyter_faas.core.errors import NotSerializable
from tests.core.elsewhere import Elsewhere
from tests.core.kernels import in_kernel

CLASSES = textwrap.dedent("""
    import dataclasses, enum, typing, collections
    @dataclasses.dataclass
    class P:
        x: int
        next: object = None
        def double(self): return P(self.x * FACTOR)
    @dataclasses.dataclass(frozen=True, slots=True)
    class Slotted:
        x: int
        y: int = 2
    class Colour(enum.Enum):
        RED = 1
        CRIMSON = 1
        BLUE = 2
    class Planet(enum.Enum):
        EARTH = (1.0, 2.0)
        def __init__(self, mass, radius): self.mass = mass
        @property
        def heavy(self): return self.mass > 0.5
    class Flag(enum.Flag):
        A = enum.auto()
        B = enum.auto()
    class Number(enum.IntEnum):
        ONE = 1
    class Oops(Exception): pass
    class Coded(Oops):
        def __init__(self, code, text):
            super().__init__(code, text)
            self.code = code
    class Told(Exception):
        def __init__(self, code, *, text):
            super().__init__(f"{code}: {text}")
            self.code = code
    class Missing(FileNotFoundError):
        def __init__(self, path): super().__init__(2, "not there", path)
    class Broken(Exception):
        def __init__(self, code, text): super().__init__(f"{code}: {text}")
        def __reduce__(self): return type(self), self.args
    Pair = collections.namedtuple("Pair", "a b")
    class Typed(typing.NamedTuple):
        a: int
        b: str = "b"
    class Entry(typing.TypedDict):
        a: int
    class Meta(type):
        def __call__(cls, *args): return super().__call__(*args)
    class WithMeta(metaclass=Meta):
        def __init__(self, v=0): self.v = v
    class Node:
        def __init__(self): self.me = self
    class Registry:
        known = {}
        def __init_subclass__(cls, *, key): Registry.known[key] = cls
    class Registered(Registry, key="r"): pass
    class Generic(typing.Generic[typing.TypeVar("T")]):
        def __init__(self, v): self.v = v
    def outer():
        class Inner:
            def __init__(self): self.v = 1
        return Inner
    Inner = outer()
    FACTOR = 2
""")
VALUES = (
    "P(1)",
    "P(1, P(2))",
    "[P(1), {'k': P(2)}, (P(3),)]",
    "{Slotted(1), Slotted(2)}",
    "Slotted(5)",
    "Colour.BLUE",
    "Colour.CRIMSON",
    "Planet.EARTH",
    "Flag.A | Flag.B",
    "Number.ONE",
    "Pair(1, 2)",
    "Typed(1)",
    "Entry(a=1)",
)


@pytest.mark.parametrize("expression", VALUES)
def test_values_of_notebook_classes_come_back_as_their_own_type(
    expression: str, main: Any, elsewhere: Elsewhere
) -> None:
    module = main(CLASSES)
    value = eval(expression, vars(module))
    again = elsewhere.echo(value)
    assert type(again) is type(value)
    assert again == value


@pytest.mark.parametrize("name", ["WithMeta", "Node", "Registered", "Generic", "Inner"])
def test_instances_of_unusual_classes_come_back_as_their_own_type(
    name: str, main: Any, elsewhere: Elsewhere
) -> None:
    module = main(CLASSES)
    make = getattr(module, name)
    value = make(7) if name == "Generic" else make()
    again = elsewhere.echo(value)
    assert type(again).__name__ == name
    if name != "Inner":
        assert type(again) is type(value)
    if name == "Node":
        assert again.me is again


def test_members_keep_identity_aliases_and_attributes(main: Any, elsewhere: Elsewhere) -> None:
    module = main(CLASSES)
    assert elsewhere.echo(module.Colour.CRIMSON) is module.Colour.RED
    assert elsewhere.echo(module.Planet.EARTH).heavy


def test_a_class_is_its_own_after_the_kernel_was_restarted(main: Any, elsewhere: Elsewhere) -> None:
    payload = b"".join(codec.dumps(main(CLASSES).P(3)))
    del main("").P
    again = main("# run again\n\n" + CLASSES)
    value = codec.loads(payload, classes=ClassTable())
    assert type(value) is again.P
    assert value == again.P(3)


def test_a_class_that_was_defined_anew_is_not_mixed_up(main: Any) -> None:
    payload = b"".join(codec.dumps(main(CLASSES).P(3)))
    changed = main(CLASSES.replace("next: object = None", "next: object = 1"))
    table = ClassTable()
    value = codec.loads(payload, classes=table)
    assert type(value) is not changed.P
    assert type(value).__name__ == "P"
    assert type(codec.loads(payload, classes=table)) is type(value)


def test_a_class_is_built_once_there_and_refers_to_its_neighbours(
    main: Any, elsewhere: Elsewhere
) -> None:
    module = main(CLASSES + "\ndef same(p, q): return type(p) is type(q), p.double()\n")
    module.same.__module__ = None
    function = elsewhere.echo(module.same)
    same, doubled = function(module.P(1), module.P(2))
    assert same
    assert doubled == module.P(2)


def test_a_changed_value_behind_a_class_reaches_the_other_side(
    main: Any, elsewhere: Elsewhere
) -> None:
    module = main(
        CLASSES + "\nclass Lazy:\n    def __reduce__(self): return (twice, (P(5),))\n"
        "def twice(p): return p.double().x\n"
    )
    assert elsewhere.echo(module.Lazy()) == 10
    module.FACTOR = 3
    assert elsewhere.echo(module.Lazy()) == 15


def test_functions_travel_by_value(main: Any, elsewhere: Elsewhere) -> None:
    module = main("K = 4\ndef f(x): return x + K\ng = lambda x: f(x) * 2")
    assert elsewhere.echo(module.g)(1) == 10


def test_closures_go_on_sharing_their_variable(main: Any, elsewhere: Elsewhere) -> None:
    module = main(
        "def make():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n"
        "    def now(): return n\n    return up, now"
    )
    up, now = elsewhere.echo(module.make())
    up()
    up()
    assert now() == 2


def test_arrays_come_out_writable_and_are_not_copied_from_a_writable_buffer() -> None:
    array = np.arange(50_000.0)
    parts = codec.dumps({"a": array})
    assert any(isinstance(part, memoryview) and part.nbytes == array.nbytes for part in parts)
    payload = bytearray(b"".join(parts))
    out = codec.loads(payload)["a"]
    assert out.flags.writeable
    out[0] = 7.0
    assert (
        np.frombuffer(payload, dtype=np.uint8).__array_interface__["data"][0]
        <= (out.__array_interface__["data"][0])
    )
    assert np.shares_memory(np.frombuffer(payload, dtype=np.uint8), out)
    assert codec.loads(bytes(payload))["a"].flags.writeable
    assert array[0] == 0.0


def test_a_read_only_array_stays_read_only() -> None:
    array = np.arange(50_000)
    array.flags.writeable = False
    assert not codec.loads(b"".join(codec.dumps(array))).flags.writeable


def test_large_bytes_are_handed_on_without_a_copy() -> None:
    large = b"x" * 1_000_000
    assert any(part is large for part in codec.dumps([large]))
    assert codec.loads(b"".join(codec.dumps([large]))) == [large]


def test_frames_and_arrays_come_back(elsewhere: Elsewhere) -> None:
    frame = pd.DataFrame({"a": np.arange(5000), "b": ["x"] * 5000})
    again = elsewhere.echo({"f": frame, "o": np.array([1, "a", None], dtype=object)})
    pd.testing.assert_frame_equal(again["f"], frame)
    assert again["o"].tolist() == [1, "a", None]


_leaf = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.builds(lambda n: np.arange(n, dtype="i4").tolist(), st.integers(0, 50))
)
_tree = st.recursive(
    _leaf,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=4)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=4)
    ),
    max_leaves=25,
)


@settings(max_examples=120, deadline=None)
@given(value=_tree)
def test_whatever_goes_out_comes_back_equal(value: Any, elsewhere: Elsewhere) -> None:
    again = elsewhere.echo(value)
    assert again == value
    assert repr(type(again)) == repr(type(value))


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 200_000), max_size=5), read_only=st.booleans())
def test_sections_come_out_as_they_went_in(sizes: list[int], read_only: bool) -> None:
    given_ = [[bytes([at % 256]) * size, b"", b"end"] for at, size in enumerate(sizes)]
    joined = b"".join(sections.pack(given_))
    source = joined if read_only else bytearray(joined)
    out = sections.unpack(source)
    assert [bytes(view) for view in out] == [b"".join(chunks) for chunks in given_]
    assert sections.total_bytes(sections.pack(given_)) == len(joined)


@pytest.mark.parametrize("garbage", [b"", b"FPL1", b"FPL1\xff\xff\xff\xff", b"x" * 200])
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(sections.SectionError):
        codec.loads(garbage)


def test_a_payload_cut_short_is_refused() -> None:
    whole = b"".join(codec.dumps(np.zeros(100_000)))
    with pytest.raises(sections.SectionError, match="cut short"):
        codec.loads(whole[:-100_000])


def test_what_cannot_be_sent_is_named_with_its_path(main: Any) -> None:
    module = main(
        "import threading\nclass ApiClient: pass\nclass Session: pass\n"
        "client = ApiClient(); client._session = Session()\n"
        "client._session.lock = threading.Lock()\n"
        "def score(x): return client\n"
    )
    with pytest.raises(NotSerializable, match="score → client → _session → lock") as caught:
        codec.dumps(module.score, root="score")
    assert caught.value.extra["path"] == ["score", "client", "_session", "lock"]
    assert "_thread.lock" in str(caught.value)
    with pytest.raises(NotSerializable, match=r"result → \['k'\] → \[1\]"):
        codec.dumps({"k": [1, threading.Lock()]}, root="result")


def test_an_argument_that_cannot_be_sent_is_named(main: Any) -> None:
    owner = main("class A: pass").A()
    owner.lock = threading.Lock()
    with pytest.raises(NotSerializable, match="argument 2 → lock"):
        codec.dumps_call((1, owner), {})


def test_keyword_arguments_that_cannot_be_sent_are_named() -> None:
    with pytest.raises(NotSerializable, match="argument lock cannot"):
        codec.dumps_call((), {"lock": threading.Lock()})


def raised(module: Any, expression: str) -> BaseException:
    try:
        exec(expression, vars(module))
    except BaseException as exc:
        return exc
    raise AssertionError("nothing was raised")


def test_exceptions_keep_type_attributes_notes_and_causes(main: Any, elsewhere: Elsewhere) -> None:
    module = main(CLASSES)
    exc = raised(
        module, "try:\n  1/0\nexcept ZeroDivisionError as e:\n  raise Coded(3, 't') from e"
    )
    exc.add_note("a note")
    parts = codec.dumps_exception(exc)
    assert parts is not None
    again = codec.loads(b"".join(parts))
    assert type(again) is module.Coded
    assert again.code == 3
    assert again.__notes__ == ["a note"]
    assert type(again.__cause__) is ZeroDivisionError
    assert isinstance(again, module.Oops)


def test_an_exception_comes_back_without_a_second_run_of_its_init(main: Any) -> None:
    module = main(CLASSES)
    told = raised(module, "raise ExceptionGroup('g', [Told(3, text='t')])")
    parts = codec.dumps_exception(told)
    assert parts is not None
    (again,) = codec.loads(b"".join(parts)).exceptions
    assert (type(again), again.code, str(again)) == (module.Told, 3, "3: t")
    lost = codec.dumps_exception(raised(module, "raise Missing('a.txt')"))
    assert lost is not None
    found = codec.loads(b"".join(lost))
    assert (type(found), found.errno, found.filename) == (module.Missing, 2, "a.txt")


def test_an_exception_that_cannot_be_rebuilt_is_found_out(main: Any) -> None:
    module = main(CLASSES)
    assert codec.dumps_exception(raised(module, "raise Broken(1, 't')")) is None
    carrying = module.Oops(threading.Lock())
    assert codec.dumps_exception(carrying) is None
    group = ExceptionGroup("g", [module.Oops(1), ValueError(2)])
    parts = codec.dumps_exception(group)
    assert parts is not None
    assert type(codec.loads(b"".join(parts)).exceptions[0]) is module.Oops


def test_a_cause_that_cannot_be_rebuilt_is_left_out(main: Any) -> None:
    module = main(CLASSES)
    exc = raised(module, "raise Oops(1) from Broken(2, 't')")
    parts = codec.dumps_exception(exc)
    assert parts is not None
    again = codec.loads(b"".join(parts))
    assert type(again) is module.Oops
    assert again.__cause__ is None


def test_definitions_are_left_out_for_a_reader_who_has_them(main: Any) -> None:
    module = main(CLASSES)
    table = ClassTable()
    (part,) = codec.dumps(module.P(1), classes=table)
    from jupyter_faas.core.canonical import class_digest

    (short,) = codec.dumps(module.P(1), classes=table, known={class_digest(module.P)})
    assert len(short) < len(part) / 2
    assert codec.loads(short) == module.P(1)
    with pytest.raises(NotSerializable, match="class P is not defined here"):
        codec.loads(short, classes=ClassTable(None))


def test_digests_of_classes_are_equal_in_every_kernel() -> None:
    names = ["P", "Slotted", "Colour", "Planet", "Flag", "Coded", "Pair", "Typed", "Registered"]
    found = [
        in_kernel(
            "\n" * at + CLASSES,
            "p = P(1).double()\nfrom jupyter_faas.core.canonical import class_digest",
            result=f"[class_digest(globals()[n]) for n in {names}]",
            seed=at,
            salt=at,
        )
        for at in (1, 2)
    ]
    assert found[0] == found[1]
    assert len(set(found[0])) == len(names)


def test_counters_of_a_class_are_not_its_definition(main: Any) -> None:
    source = "class C:\n    count = 0\n    def __init__(self): C.count += 1\n"
    from jupyter_faas.core.canonical import class_digest

    fresh = class_digest(main(source).C)
    module = main(source)
    module.C()
    assert class_digest(module.C) == fresh
    assert class_digest(main(source.replace("= 0", "= 0; limit = 1")).C) != fresh


def test_dates_and_decimals_are_equal_on_return(elsewhere: Elsewhere) -> None:
    value = [datetime.datetime.now(tz=datetime.UTC), decimal.Decimal("1.10")]
    assert elsewhere.echo(value) == value


def test_code_keeps_its_file_and_lines() -> None:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(compile("def f(x):\n    return [y for y in x]\n", "/tmp/cell.py", "exec"), scope)
    payload = b"".join(map(bytes, codec.dumps(scope["f"])))
    code = codec.loads(payload, classes=ClassTable()).__code__
    assert (code.co_filename, code.co_firstlineno) == ("/tmp/cell.py", 1)
    assert code == scope["f"].__code__


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=30)
    | st.binary(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=10)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=10)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(PLAIN)
def test_the_short_way_of_plain_values_and_the_long_way_understand_each_other(value: Any) -> None:
    def is_same(one: Any) -> bool:
        return repr(one) == repr(value)

    short = b"".join(codec.dumps(value))
    long = b"".join(codec.dumps([value] * 9))  # too many members for the short way
    assert is_same(codec.loads(short))
    assert all(map(is_same, codec.loads(long)))
    head, *_ = sections.unpack(short)
    assert is_same(codec.TableUnpickler(codec.reader(head), codec.NOTEBOOK).load())


@pytest.mark.parametrize("value", ["c", "i", "PQ", b"\x93", [[1, "(ic)"], {"k": b"\x82\x97"}]])
def test_a_value_whose_bytes_look_like_opcodes_comes_back_as_it_is(value: Any) -> None:
    assert codec.loads(b"".join(codec.dumps(value))) == value


def test_one_small_section_lies_as_sections_do() -> None:
    for size in (0, 1, 63, 64, 65, 300):
        data = bytes(range(256))[:size] or b"x" * size
        assert b"".join(sections.pack_small(data)) == b"".join(sections.pack([[data]]))
