"""Whether a runner has what a function needs, found before anything is sent. Pure.

Compares the environment stamp of a capture (third-party modules, `packages=[…]`) with a runner's
inventory. Version conditions are PEP 440's; epochs and local versions are not compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jupyter_faas.core.errors import InvalidSpec, MissingPackages

_REQUIREMENT = re.compile(
    r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;()]*)\)?\s*(?:;.*)?"
)
_CONDITION = re.compile(r"\s*(===|==|!=|<=|>=|~=|<|>)\s*([A-Za-z0-9.*+!_-]+)\s*")
_RELEASE = re.compile(r"v?(?:\d+!)?(\d+(?:\.\d+)*)(.*)")
_DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "cv2": "opencv-python",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "bs4": "beautifulsoup4",
    "skimage": "scikit-image",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
}
"""Import names that differ from what is installed, for the advice only."""


class Runner(NamedTuple):
    """How a runner is called, and how it gets what it lacks."""

    name: str
    advice: str
    """With `{}`: what is to be installed."""


HERE = Runner("the runner", "Install {} there")
"""A replica of this machine: the notebook's own environment."""
IMAGE = Runner(
    "the cluster's runner image",
    "Deploy with image='…' of a runner that has {}, or have it added to the pool's",
)
"""A pod of a cluster."""


class Requirement(NamedTuple):
    """One entry of `packages=[…]`."""

    name: str
    """Normalised as package indexes do (PEP 503)."""
    conditions: tuple[tuple[str, str], ...]
    text: str


def parse_requirement(text: str) -> Requirement:
    """Return a requirement string in parts.

    Raises:
        InvalidSpec: It is none; says what one looks like.
    """
    match = _REQUIREMENT.fullmatch(text)
    conditions = [c for c in (match[2] if match else "").split(",") if c.strip()]
    found = [_CONDITION.fullmatch(condition) for condition in conditions]
    if match is None or not all(found):
        raise InvalidSpec(
            f"packages: {text!r} is no requirement; write it like 'pandas' or 'pandas>=2,<3'."
        )
    return Requirement(
        normalise(match[1]), tuple((c[1], c[2]) for c in found if c is not None), text
    )


def normalise(name: str) -> str:
    """Return a distribution's name in its normal form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check_packages(packages: Iterable[str], installed: Mapping[str, str], runner: Runner) -> None:
    """Check `packages=[…]` against what a runner has.

    Args:
        packages: Requirement strings.
        installed: Distribution name (normalised) → version.
        runner: For the message.

    Raises:
        MissingPackages: Something is missing or has the wrong version.
        InvalidSpec: A string is no requirement.
    """
    problems, lacking = [], []
    for requirement in map(parse_requirement, packages):
        version = installed.get(requirement.name)
        if version is None:
            problems.append(f"{requirement.text} is not installed")
            lacking.append(requirement.text)
        elif not all(holds(version, *condition) for condition in requirement.conditions):
            problems.append(f"{requirement.text} is wanted and {version} is installed")
            lacking.append(requirement.text)
    if problems:
        name = runner.name[:1].upper() + runner.name[1:]
        raise MissingPackages(
            f"{name}: {'; '.join(problems)}. {runner.advice.format(' and '.join(lacking))}, "
            "or change packages=[…]."
        )


def check_modules(missing: Iterable[str], name: str, runner: Runner) -> None:
    """Say what to do about modules that the function uses and the runner lacks.

    Raises:
        MissingPackages: `missing` is not empty.
    """
    modules = sorted(set(missing))
    if not modules:
        return
    install = [_DISTRIBUTIONS.get(module, module) for module in modules]
    quoted = ", ".join(f"`{module}`" for module in modules)
    noun = "module" if len(modules) == 1 else "modules"
    raise MissingPackages(
        f"{name} needs the {noun} {quoted}, which {runner.name} does not have. "
        f"{runner.advice.format(' '.join(install))}, or import it inside a function that can do "
        "without.",
        modules=modules,
    )


def holds(version: str, operator: str, wanted: str) -> bool:
    """Return whether `version` fulfils one condition, e.g. `holds("2.1", ">=", "2")`."""
    if operator == "===":
        return version == wanted
    if wanted.endswith(".*"):
        prefix = _release(wanted[:-2])
        is_same = _pad(_release(version), len(prefix))[: len(prefix)] == prefix
        return is_same if operator == "==" else not is_same
    if operator == "~=":
        floor = _release(wanted)
        is_near = _pad(_release(version), len(floor))[: len(floor) - 1] == floor[:-1]
        return is_near and _key(version) >= _key(wanted)
    ours, theirs = _key(version), _key(wanted)
    return {
        "==": ours == theirs,
        "!=": ours != theirs,
        "<": ours < theirs,
        "<=": ours <= theirs,
        ">": ours > theirs,
        ">=": ours >= theirs,
    }[operator]


def _release(version: str) -> tuple[int, ...]:
    match = _RELEASE.match(version)
    return tuple(int(part) for part in match[1].split(".")) if match else (0,)


def _pad(release: tuple[int, ...], length: int) -> tuple[int, ...]:
    return release + (0,) * (length - len(release))


def _key(version: str) -> tuple[tuple[int, ...], int, str]:
    """Order versions: 2.0rc1 before 2.0 before 2.0.post1; trailing zeros do not count."""
    match = _RELEASE.match(version)
    if match is None:
        return (0,), 0, version
    release = _release(version)
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    rest = match[2].split("+")[0].lstrip(".-_").lower()
    if not rest:
        return release, 0, ""
    return release, (1 if rest.startswith(("post", "r0", "rev")) else -1), rest
