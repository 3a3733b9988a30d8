"""Objects of a cluster and the model say the same, in both directions."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hsettings
from hypothesis import strategies as st

from jupyter_faas.core.model import (
    Code,
    Function,
    FunctionSettings,
    Kind,
    Origin,
    Resources,
    Retries,
    Revision,
    RevisionSpec,
    RevisionState,
    Scaling,
    Schedule,
)
from jupyter_faas.gateway.store import objects
from jupyter_faas.gateway.store.packing import packed, unpacked
from jupyter_faas.providers.kubernetes.objects import (
    CodeObject,
    FunctionSpecObject,
    FunctionStateObject,
    ResourcesObject,
    RevisionSpecObject,
    RevisionStatusObject,
    ScalingObject,
    TrafficObject,
)

some = st.sampled_from([{}, {"a": "b"}, {"": "1", "/ü": "2"}])
few = hsettings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
texts = st.sampled_from(["", "a", "b-c", "/ü"])
counts = st.integers(1, 50)
seconds = st.sampled_from([0.5, 1.0, 60.0, 86_400.25])
thousandths = st.integers(1, 100_000).map(lambda n: n / 1000)
codes = st.builds(
    Code,
    digest=st.sampled_from(["a" * 64, "b" * 64]),
    size_bytes=counts,
    entry=texts,
    kind=st.sampled_from(Kind),
    python=st.sampled_from(["3.11", "3.12"]),
    methods=st.sampled_from([{}, {"m": Kind.GENERATOR}]),
    signature=texts.filter(bool),
    parameters=st.sampled_from([(), ({"name": "x"},)]),
    modules=some,
)
specs = st.builds(
    RevisionSpec,
    code=codes,
    packages=st.sampled_from([(), ("a",), ("b", "c")]),
    image=st.none() | texts,
    env=some,
    secrets=st.sampled_from([(), ("a",), ("b", "c")]),
    volumes=some,
    resources=st.builds(
        Resources,
        cpu=thousandths,
        cpu_limit=st.none() | thousandths,
        memory_mib=st.integers(1, 1 << 20),
        memory_request_mib=st.none() | st.integers(1, 1 << 20),
        gpu=st.none() | texts,
    ),
    timeout_s=seconds,
    startup_timeout_s=seconds,
    max_inputs=st.integers(1, 9),
    retries=st.builds(Retries, max_retries=counts),
    idempotent=st.none() | st.booleans(),
    runtime_class=st.none() | texts,
    node_selector=some,
)
settings = st.builds(
    FunctionSettings,
    scaling=st.builds(
        Scaling,
        min_containers=counts,
        max_containers=counts,
        buffer_containers=counts,
        scaledown_window_s=seconds,
        target_inputs=st.none() | seconds,
    ),
    queue_timeout_s=seconds,
    public=st.booleans(),
    schedule=st.none() | st.builds(Schedule, cron=texts),
)


@st.composite
def functions(draw: Any, name: str = "f") -> tuple[Function, dict[int, Revision]]:
    numbers = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True))
    named = st.lists(st.sampled_from(numbers), unique=True, max_size=3)
    revisions = {
        number: Revision(
            function=name,
            number=number,
            id=f"{number:064x}",
            spec=draw(specs),
            created_at=draw(seconds),
            state=draw(st.sampled_from(RevisionState)),
            reason=draw(texts),
            problem=draw(st.none() | some),
            origin=draw(st.builds(Origin, owner=texts, notebook=texts)),
        )
        for number in numbers
    }
    function = Function(
        name=name,
        settings=draw(settings),
        declared=draw(st.none() | settings),
        latest=draw(st.sampled_from(numbers)),
        traffic={number: draw(st.integers(1, 100)) for number in draw(named)},
        shares=draw(st.sampled_from([{}, {0: 100}, {0: 10, 3: 90}, {2: 100}])),
        previous=tuple(draw(named)),
        created_at=draw(seconds),
    )
    return function, revisions


def through_json(value: Any, kind: type) -> Any:
    """What the API server would give back."""
    return objects.read(json.loads(json.dumps(objects.plain(value))), kind)


@few
@given(functions())
def test_a_function_comes_back_from_its_object(one: tuple[Function, dict[int, Revision]]) -> None:
    function, revisions = one
    spec = objects.updated_spec(None, None, function, revisions, None)
    back = objects.function_of(
        "default",
        "f",
        through_json(spec, FunctionSpecObject),
        through_json(objects.state_object(function), FunctionStateObject),
        revisions,
        0.0,
    )
    assert back == function


@few
@given(functions())
def test_the_spec_written_for_a_revision_asks_for_it(
    one: tuple[Function, dict[int, Revision]],
) -> None:
    function, revisions = one
    wanted = objects.wanted_of(objects.updated_spec(None, None, function, revisions, None))
    runs = revisions[function.latest].spec
    assert objects.is_same_code(wanted.runs, runs.code.python, runs.code.digest, runs)
    assert wanted.settings == function.settings
    code = objects.code_of(wanted.code, runs.code.size_bytes, "", Kind.FUNCTION)
    assert code == runs.code
    assert wanted.shares == objects.shown_shares(function, revisions)


@few
@given(functions())
def test_a_revision_comes_back_from_its_object(one: tuple[Function, dict[int, Revision]]) -> None:
    for revision in one[1].values():
        spec = through_json(objects.revision_object(revision, None), RevisionSpecObject)
        status = through_json(objects.revision_status(revision), RevisionStatusObject)
        assert objects.revision_of("default", spec, status) == revision
        assert objects.revision_of("default", spec, None).state is RevisionState.PENDING


@few
@given(functions(), functions())
def test_what_a_change_does_not_change_stays_as_people_wrote_it(
    one: tuple[Function, dict[int, Revision]], other: tuple[Function, dict[int, Revision]]
) -> None:
    function, revisions = one
    spec = objects.updated_spec(None, None, *other, None)
    assert objects.updated_spec(spec, function, function, revisions, None) == spec
    floor = msgspec.structs.replace(function.settings.scaling, min_containers=77)
    changed = msgspec.structs.replace(
        function, settings=msgspec.structs.replace(function.settings, scaling=floor)
    )
    new = objects.updated_spec(spec, function, changed, revisions, None)
    assert new.scaling.min_containers == 77
    assert new.scaling.max_containers == spec.scaling.max_containers


def test_amounts_are_left_in_the_notation_of_people() -> None:
    spec = FunctionSpecObject(
        code=CodeObject(source="def f(): ...", python="3.11"),
        resources=ResourcesObject(cpu="0.2", memory="1Gi"),
    )
    assert objects.wanted_of(spec).runs.resources == Resources(cpu=0.2, memory_mib=1024)
    runs = objects.wanted_of(spec).runs
    slower = msgspec.structs.replace(
        runs, timeout_s=9.0, code=Code(digest="d" * 64, size_bytes=1, entry="f", python="3.11")
    )
    revision = Revision(function="f", number=1, id="1", spec=slower, created_at=0)
    new = objects.updated_spec(
        spec,
        None,
        Function(name="f", latest=1),
        {1: revision},
        objects.code_object(slower.code, None),
    )
    assert (new.resources, new.timeout_s) == (spec.resources, 9.0)
    assert new.code.digest == "sha256:" + "d" * 64


@pytest.mark.parametrize(
    ("quantity", "cores"),
    [("100m", 0.1), ("35m", 0.035), (2, 2.0), ("0.5", 0.5), ("1.5m", 0.0015)],
)
def test_cores_are_read_exactly(quantity: int | str, cores: float) -> None:
    assert objects.resources_of(ResourcesObject(cpu=quantity)).cpu == cores


@pytest.mark.parametrize(
    ("quantity", "mib"), [("512Mi", 512), ("1Gi", 1024), (1 << 20, 1), ("1500k", 2), ("2", 1)]
)
def test_memory_is_read_in_mebibytes(quantity: int | str, mib: int) -> None:
    assert objects.resources_of(ResourcesObject(memory=quantity)).memory_mib == mib


@given(st.dictionaries(st.integers(1, 9), st.integers(1, 1_000_000), min_size=1, max_size=6))
def test_weights_become_percents_that_sum_to_100(weights: dict[int, int]) -> None:
    found = objects.percents(weights)
    total = sum(weights.values())
    assert sum(found.values()) == 100
    assert all(abs(found[n] - w * 100 / total) < 1 for n, w in weights.items())


def test_the_newest_that_is_ready_can_have_a_share() -> None:
    traffic = (TrafficObject(revision=3, percent=90), TrafficObject(latest=True, percent=10))
    assert objects.shares_of(traffic) == {3: 90, 0: 10}
    assert objects.traffic_objects({0: 10, 3: 90}) == traffic


@few
@given(functions())
def test_without_a_status_the_newest_that_is_ready_serves(
    one: tuple[Function, dict[int, Revision]],
) -> None:
    function, revisions = one
    spec = objects.updated_spec(None, None, function, revisions, None)
    back = objects.function_of("default", "f", spec, None, revisions, 5.0)
    assert back is not None
    assert back.latest == max(revisions)
    ready = [n for n, r in revisions.items() if r.state is RevisionState.READY]
    assert back.traffic == ({max(ready): 100} if ready else {})
    assert back.created_at == 5.0
    assert objects.function_of("default", "f", spec, None, {}, 5.0) is None


values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=2),
    lambda inner: (
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2)
    ),
    max_leaves=8,
)
objects_ = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


def applied(old: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            new.pop(name, None)
        else:
            new[name] = applied(new.get(name), value)
    return new


@given(objects_, objects_)
def test_a_merge_patch_makes_one_object_into_the_other(old: Any, new: Any) -> None:
    patch = objects.merge_patch(old, new)
    assert applied(old, patch) == new
    assert objects.merge_patch(new, new) == {}


@given(st.binary(max_size=2000))
def test_a_small_package_comes_back_and_another_is_none(blob: bytes) -> None:
    digest = hashlib.sha256(blob).hexdigest()
    text = packed(blob)
    assert text is not None
    assert unpacked(text, digest) == blob
    assert unpacked(text, "0" * 64) is None
    assert unpacked("no base64!", digest) is None


def test_a_large_package_does_not_fit() -> None:
    assert packed(os.urandom(70_000)) is None
    assert packed(bytes(1_000_000)) is not None


def test_scaling_of_people_is_not_part_of_what_runs() -> None:
    code = CodeObject(source="def f(): ...", python="3.11")
    one = objects.wanted_of(FunctionSpecObject(code=code))
    more = objects.wanted_of(FunctionSpecObject(code=code, scaling=ScalingObject(min_containers=3)))
    wide = objects.wanted_of(FunctionSpecObject(code=code, scaling=ScalingObject(max_inputs=3)))
    assert one.runs == more.runs != wide.runs
    assert one.settings != more.settings
