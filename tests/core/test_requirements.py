"""Requirements against an inventory: tables."""

from __future__ import annotations

import pytest

from jupyter_faas.core.errors import InvalidSpec, MissingPackages
from jupyter_faas.core.requirements import (
    HERE,
    check_modules,
    check_packages,
    holds,
    normalise,
    parse_requirement,
)


@pytest.mark.parametrize(
    ("text", "name", "conditions"),
    [
        ("pandas", "pandas", ()),
        ("Scikit_Learn >= 1.4, <2", "scikit-learn", ((">=", "1.4"), ("<", "2"))),
        ("uvicorn[standard]==0.30.*", "uvicorn", (("==", "0.30.*"),)),
        ("x (>=1)", "x", ((">=", "1"),)),
        ("tomli>=2; python_version < '3.11'", "tomli", ((">=", "2"),)),
    ],
)
def test_a_requirement_is_read(text: str, name: str, conditions: tuple[object, ...]) -> None:
    assert parse_requirement(text)[:2] == (name, conditions)


@pytest.mark.parametrize("text", ["", "a b", "x=1", ">=2", "x>=1,,<", "http://x/y.whl!"])
def test_what_is_no_requirement_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec, match="packages"):
        parse_requirement(text)


@pytest.mark.parametrize(
    ("version", "operator", "wanted", "is_met"),
    [
        ("2.0", "==", "2", True),
        ("2.0.1", "==", "2.0.*", True),
        ("2.1", "!=", "2.0.*", True),
        ("1.10", ">", "1.9", True),
        ("1.9", ">=", "1.10", False),
        ("2.0rc1", ">=", "2.0", False),
        ("2.0.post1", ">", "2.0", True),
        ("1.4.5", "~=", "1.4.2", True),
        ("1.5.0", "~=", "1.4.2", False),
        ("1.5", "~=", "1.4", True),
        ("1.0+local", "==", "1.0", True),
        ("1.0", "<", "1.0", False),
        ("odd", "===", "odd", True),
    ],
)
def test_version_conditions_are_pep_440s(
    version: str, operator: str, wanted: str, is_met: bool
) -> None:
    assert holds(version, operator, wanted) is is_met


def test_every_missing_package_is_named_with_what_is_there() -> None:
    installed = {"numpy": "2.4.0", "scikit-learn": "1.5"}
    check_packages(["NumPy>=2", "scikit_learn"], installed, HERE)
    with pytest.raises(
        MissingPackages, match=r"polars is not installed; numpy<2 is wanted and 2\.4"
    ):
        check_packages(["polars", "numpy<2"], installed, HERE)


def test_a_missing_module_is_named_with_its_distribution() -> None:
    check_modules([], "score", HERE)
    with pytest.raises(MissingPackages, match=r"`sklearn`.*Install scikit-learn") as caught:
        check_modules(["sklearn"], "score", HERE)
    assert caught.value.extra["modules"] == ["sklearn"]


def test_names_are_compared_in_their_normal_form() -> None:
    assert normalise("Ruamel.YAML__x") == "ruamel-yaml-x"
