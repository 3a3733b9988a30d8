"""What must never be in the repository, checked over every file git would commit."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
THIS_FILE = Path(__file__).relative_to(ROOT).as_posix()

REGISTRY_HOSTS = re.compile(
    r"pythonhosted\.org|registry\.npmjs|registry\.yarnpkg|pypi\.org/simple|"
    r"--(?:extra-)?index-url|\"resolved\"\s*:|deb\.debian\.org|artifactory|\bnexus\b",
    re.IGNORECASE,
)
MACHINE_PATHS = re.compile(
    r"(?<![\w.~$}])/(?:root|work|Users/\w+|home/(?!you\b|ada\b|bob\b|me\b|someone\b|jovyan\b)\w+)/"
)
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|"
    r"\bgh[pousr]_(?!0123456789)[A-Za-z0-9]{36}\b|"
    r"\bsk-[A-Za-z0-9]{32,}\b|\bxox[abp]-[0-9A-Za-z-]{20,}|"
    r"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\."
)
BLANKET = re.compile(r"#\s*(?:noqa(?!:\s*[A-Z]+\d)|type:\s*ignore(?!\[)|ruff:\s*noqa(?!:))")
NOQA = re.compile(r"#\s*noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*(?P<reason>.*)$")
UNFINISHED = re.compile(r"(?:#|//|/?\*)\s*(?:TODO|FIXME|XXX|HACK)\b")
SCRIPT_SUFFIXES = (".ts", ".tsx", ".mjs")
SCRIPT_SUPPRESSION = re.compile(r"eslint-disable|@ts-(?:ignore|nocheck|expect-error)")
REASONED = re.compile(
    r"eslint-disable-(?:next-)?line [\w@/,\s-]+ -- \w{3}|@ts-expect-error:? \w{3}",
)


def committed_files() -> list[Path]:
    """Return every file that git tracks or would add, this one left out."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    names = {name for name in listing.stdout.decode().split("\0") if name and name != THIS_FILE}
    return [ROOT / name for name in sorted(names) if (ROOT / name).is_file()]


def text_lines() -> list[tuple[str, str]]:
    """Return (`file:line`, text) of every line of every text file."""
    lines = []
    for path in committed_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT).as_posix()
        lines += [(f"{name}:{number}", line) for number, line in enumerate(text.splitlines(), 1)]
    return lines


def matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{where}: {line.strip()[:120]}" for where, line in text_lines() if pattern.search(line)
    ]


def test_no_file_names_a_package_registry() -> None:
    assert matching(REGISTRY_HOSTS) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert matching(MACHINE_PATHS) == []


def test_no_file_holds_a_secret() -> None:
    assert matching(SECRETS) == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    assert matching(UNFINISHED) == []


def python_lines(folder: str = "") -> list[tuple[str, str]]:
    return [
        (where, line)
        for where, line in text_lines()
        if where.split(":")[0].endswith(".py") and where.startswith(folder)
    ]


def test_every_suppression_names_the_one_rule_it_is_about() -> None:
    blanket = [f"{where}: {line}" for where, line in python_lines() if BLANKET.search(line)]
    assert blanket == []


def test_a_lint_suppression_in_the_product_says_why() -> None:
    """`# noqa: CODE why`; a `type: ignore[code]` is held to be needed by mypy itself."""
    bare, before = [], ""
    for where, line in python_lines("jupyter_faas/"):
        found = NOQA.search(line)
        has_reason = found and len(re.sub(r"[\W_]+", "", found["reason"])) >= 4
        if found and not has_reason and not before.lstrip().startswith("#"):
            bare.append(f"{where}: {line.strip()[:120]}")
        before = line
    assert bare == []


def test_a_suppression_in_typescript_names_its_rule_and_says_why() -> None:
    """`eslint-disable-next-line RULE -- why`, `@ts-expect-error why`; whole files never."""
    found = [
        f"{where}: {line.strip()[:120]}"
        for where, line in text_lines()
        if where.split(":")[0].endswith(SCRIPT_SUFFIXES) and SCRIPT_SUPPRESSION.search(line)
        if not REASONED.search(line)
    ]
    assert found == []


def test_notebooks_are_committed_without_outputs_and_with_cell_ids() -> None:
    notebooks = [path for path in committed_files() if path.suffix == ".ipynb"]
    for path in notebooks:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = notebook["cells"]
        assert len({cell["id"] for cell in cells}) == len(cells), path.name
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code), path


def test_no_file_is_large() -> None:
    large = {path.name: path.stat().st_size for path in committed_files()}
    assert {name: size for name, size in large.items() if size > 500_000} == {}


def test_every_dependency_has_a_minimum_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    named = [entry for entries in lists for entry in entries if isinstance(entry, str)]
    assert [e for e in named if ">=" not in e and not e.startswith("jupyter_faas[")] == []
