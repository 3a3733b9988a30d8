"""Which functions can run on Ray, and what the others are told."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_faas.core.engines import why_not_ray
from jupyter_faas.core.model import Code, Resources, RevisionSpec

CODE = Code(digest="0" * 64, size_bytes=1, entry="f", python="3.11")


def spec(**more: Any) -> RevisionSpec:
    return RevisionSpec(code=CODE, **more)


def test_a_plain_function_runs_on_ray() -> None:
    assert why_not_ray(spec(env={"A": "1"}, timeout_s=1.0)) == ""


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("image", {"image": "mine"}),
        ("runtime_class", {"runtime_class": "gvisor"}),
        ("secrets", {"secrets": ("key",)}),
        ("volumes", {"volumes": {"/a": "claim"}}),
        ("node_selector", {"node_selector": {"a": "b"}}),
        ("gpu", {"resources": Resources(gpu="1")}),
    ],
)
def test_what_only_a_pod_of_its_own_can_have_keeps_a_function_off_ray(
    name: str, more: dict[str, Any]
) -> None:
    assert name in why_not_ray(spec(**more))


def test_all_reasons_are_named_in_one_sentence() -> None:
    why = why_not_ray(spec(image="mine", secrets=("a",), volumes={"/a": "b"}))
    assert why == (
        "the function asks for image, secrets and volumes, which replicas on Ray cannot have."
    )
