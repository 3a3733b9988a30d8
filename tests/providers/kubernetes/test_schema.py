"""The converter: what Kubernetes takes, in its own words; everything else is an error."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import pytest

from jupyter_faas.providers.kubernetes.schema import (
    KEEPS_UNKNOWN,
    NotStructural,
    structural_schema,
    to_structural,
)

PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct):
    """A part."""

    size: int


def field_of(kind: Any, default: Any = msgspec.NODEFAULT) -> dict[str, Any]:
    """Return the schema of a field of this type."""
    owner = msgspec.defstruct("Owner", [("it", kind, default)])
    return structural_schema(owner)["properties"]["it"]


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (str, {"type": "string"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (int | None, {"type": "integer", "nullable": True}),
        (int | str, {INT_OR_STRING: True}),
        (int | str | None, {INT_OR_STRING: True, "nullable": True}),
        (tuple[str, ...], {"type": "array", "items": {"type": "string"}}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (dict[int, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (dict[str, Any], {"type": "object", PRESERVE: True}),
        (Any, {PRESERVE: True}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[1, 2], {"type": "integer", "enum": [1, 2]}),
        (Annotated[int, msgspec.Meta(ge=1, le=9)], {"type": "integer", "minimum": 1, "maximum": 9}),
        (
            Annotated[float, msgspec.Meta(gt=0)],
            {"type": "number", "minimum": 0, "exclusiveMinimum": True},
        ),
        (
            Annotated[tuple[str, ...], msgspec.Meta(max_length=3)],
            {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        ),
        (
            Part,
            {
                "type": "object",
                "description": "A part.",
                "properties": {"size": {"type": "integer"}},
                "required": ["size"],
            },
        ),
        (
            Annotated[Part, msgspec.Meta(description="Mine.", extra_json_schema=KEEPS_UNKNOWN)],
            {"type": "object", "description": "Mine.", PRESERVE: True},
        ),
    ],
)
def test_each_kind_of_field_has_its_structural_form(kind: Any, wanted: dict[str, Any]) -> None:
    assert field_of(kind) == wanted


def test_an_enum_class_is_inlined_and_takes_no_null() -> None:
    for kind in (Colour, Colour | None):
        found = field_of(kind)
        assert (found["type"], found["enum"]) == ("string", ["blue", "red"])
        assert "nullable" not in found


def test_what_is_said_about_a_field_goes_before_what_is_said_about_its_type() -> None:
    assert field_of(Annotated[Part, msgspec.Meta(description="Mine.")])["description"] == "Mine."


@pytest.mark.parametrize(
    ("default", "wanted"), [(7, {"default": 7}), (0, {"default": 0}), (None, {})]
)
def test_scalar_defaults_are_the_api_servers_work(
    default: int | None, wanted: dict[str, Any]
) -> None:
    found = field_of(int | None, default)
    assert {key: found[key] for key in found if key == "default"} == wanted


def test_a_status_has_no_defaults() -> None:
    owner = msgspec.defstruct("Owner", [("it", int, 3)])
    assert structural_schema(owner, with_defaults=False)["properties"]["it"] == {"type": "integer"}


class Tree(msgspec.Struct):
    children: tuple[Tree, ...] = ()


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"$ref": "#/$defs/Tree"}, "contains itself"),
        ({"anyOf": [{"type": "integer"}, {"type": "boolean"}]}, "union of 2"),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": False}, "prefixItems"),
        ({"type": "array"}, "one type of items"),
        ({"type": "object", "additionalProperties": False}, "may have no fields"),
        ({"type": "object", "propertyNames": {"pattern": "a"}}, "propertyNames"),
        ({"minimum": 3}, "without a type"),
        ({"enum": [1, "a"]}, "several types"),
        ({"type": "string", "format": "date-time"}, "format"),
    ],
)
def test_what_has_no_structural_form_is_refused_with_its_path(
    schema: dict[str, Any], says: str
) -> None:
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
    }
    around = {"type": "object", "properties": {"it": schema}}
    with pytest.raises(NotStructural, match=rf"^\$\.it.*{says}"):
        to_structural(around, {"Tree": tree})
