"""From msgspec's JSON schema of our types to what a CustomResourceDefinition may contain. Pure.

Kubernetes takes *structural* schemas only: no `$ref`, no `anyOf`, a type at every level, OpenAPI
3.0's meaning of `exclusiveMinimum`. What has no structural form is an error when the CRDs are
made, never a field that the API server silently drops.

Source:
    Kubernetes documentation, "Specifying a structural schema" of CustomResourceDefinitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Schema = dict[str, Any]

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
KEEPS_UNKNOWN: Schema = {_PRESERVE: True}
"""Marks a field whose type must not limit what is stored in it."""
_INT_OR_STRING = "x-kubernetes-int-or-string"
_REF = "#/$defs/"

_CONSTRAINTS = frozenset(
    {
        "enum",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "pattern",
    }
)
_CONVERTED = frozenset(
    {
        "additionalProperties",
        "default",
        "description",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "items",
        "properties",
        "required",
        "title",
        "type",
    }
)


class NotStructural(TypeError):
    """A type has no structural schema; the text names the path and what is in the way."""


def structural_schema(kind: type, *, with_defaults: bool = True) -> Schema:
    """Return the structural schema of a msgspec type.

    Args:
        kind: A struct. A field marked by `msgspec.Meta(extra_json_schema=KEEPS_UNKNOWN)` gets no
            properties, so that what a newer version writes into it is kept whole.
        with_defaults: Give the defaults that are numbers, texts or booleans to the API server,
            which then writes them into every object, as it does for its own kinds.

    Raises:
        NotStructural: Kubernetes has no form for a part of it.
    """
    (reference,), components = msgspec.json.schema_components([kind], ref_template=_REF + "{name}")
    return to_structural(reference, components, with_defaults=with_defaults)


def to_structural(
    schema: Mapping[str, Any], components: Mapping[str, Any], *, with_defaults: bool = True
) -> Schema:
    """Return a JSON schema (2020-12, as msgspec writes it) in structural form.

    Args:
        schema: May refer to `components` by `#/$defs/{name}`.
        components: Named schemas.
        with_defaults: See `structural_schema`.

    Raises:
        NotStructural: See there; also for types that contain themselves.
    """
    return _Converter(components, with_defaults).convert(schema, "$", ())


class _Converter:
    def __init__(self, components: Mapping[str, Any], with_defaults: bool) -> None:
        self._components = components
        self._with_defaults = with_defaults

    def convert(self, given: Mapping[str, Any], path: str, inside: tuple[str, ...]) -> Schema:
        """Return one level and everything below it; `inside` names the types around it."""
        schema, inside = self._inlined(given, path, inside)
        if "anyOf" in schema:
            return self._union(schema, path, inside)
        if schema.get(_PRESERVE):
            return {**_kept(schema), "type": "object", _PRESERVE: True}
        _refuse_unknown(schema, path)
        out = _kept(schema) | _exclusive_bounds(schema) | self._default(schema)
        kind = schema.get("type") or _type_of_enum(schema, path)
        if kind is None:
            if out.keys() - {"description"}:
                raise NotStructural(f"{path}: constraints without a type")
            return {**out, _PRESERVE: True}
        return {**out, "type": kind, **self._inner(kind, schema, path, inside)}

    def _inlined(
        self, given: Mapping[str, Any], path: str, inside: tuple[str, ...]
    ) -> tuple[Schema, tuple[str, ...]]:
        """Return the schema with the type it refers to put in its place."""
        schema = dict(given)
        while reference := schema.pop("$ref", None):
            name = reference.removeprefix(_REF)
            if name in inside:
                raise NotStructural(f"{path}: {name} contains itself")
            inside = (*inside, name)
            # What is said about the field goes before what is said about its type.
            schema = {**self._components[name], **schema}
        return schema, inside

    def _union(self, schema: Schema, path: str, inside: tuple[str, ...]) -> Schema:
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        choices = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
        nullable = {"nullable": True} if len(choices) < len(schema["anyOf"]) else {}
        if len(choices) == 1:
            out = self.convert({**choices[0], **rest}, path, inside)
            # Of an enum the API server takes no null, whatever is said: absent is all there is.
            return out if "enum" in out else {**out, **nullable}
        if choices == [{"type": "integer"}, {"type": "string"}]:
            _refuse_unknown(rest, path)
            return {**_kept(rest), **self._default(rest), _INT_OR_STRING: True, **nullable}
        raise NotStructural(f"{path}: a union of {len(choices)} types")

    def _default(self, schema: Schema) -> Schema:
        default = schema.get("default")
        is_wanted = self._with_defaults and isinstance(default, (bool, int, float, str))
        return {"default": default} if is_wanted and default != "" else {}

    def _inner(self, kind: str, schema: Schema, path: str, inside: tuple[str, ...]) -> Schema:
        """Return what is said about the parts of an object or array."""
        if kind == "array":
            items = schema.get("items")
            if not isinstance(items, Mapping):
                raise NotStructural(f"{path}: an array needs one type of items")
            return {"items": self.convert(items, f"{path}[]", inside)}
        if kind != "object":
            return {}
        if "properties" in schema:
            properties = {
                name: self.convert(part, f"{path}.{name}", inside)
                for name, part in schema["properties"].items()
            }
            required = schema.get("required")
            return {"properties": properties, **({"required": required} if required else {})}
        values = schema.get("additionalProperties")
        if values is False:
            raise NotStructural(f"{path}: an object that may have no fields")
        if not isinstance(values, Mapping) or not values:
            return {_PRESERVE: True}
        return {"additionalProperties": self.convert(values, f"{path}.*", inside)}


def _kept(schema: Schema) -> Schema:
    """Return what means the same to Kubernetes."""
    return {key: schema[key] for key in schema if key in _CONSTRAINTS or key == "description"}


def _exclusive_bounds(schema: Schema) -> Schema:
    """Return exclusive bounds as OpenAPI 3.0 writes them: a bound, and a flag beside it."""
    out: Schema = {}
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in schema:
            out |= {bound: schema[exclusive], exclusive: True}
    return out


def _refuse_unknown(schema: Schema, path: str) -> None:
    unknown = schema.keys() - _CONSTRAINTS - _CONVERTED
    if unknown:
        raise NotStructural(f"{path}: `{min(unknown)}` has no structural form")


def _type_of_enum(schema: Schema, path: str) -> str | None:
    values = schema.get("enum")
    if values is None:
        return None
    for kind, name in ((str, "string"), (int, "integer")):
        if all(isinstance(value, kind) for value in values):
            return name
    raise NotStructural(f"{path}: an enum of several types")
