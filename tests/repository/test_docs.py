"""What the documentation lists is what the code has."""

import re
from pathlib import Path

import pytest

from jupyter_faas.core.errors import FaasError, walk
from jupyter_faas.core.settings import PREFIX, Settings, meaning

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def test_every_error_is_explained_with_its_code_and_status() -> None:
    page = (ROOT / "docs/errors.md").read_text()
    parents = {"UsageError", "CapacityError", "ExecutionError", "PlatformError", "FaasError"}
    ours = [cls for cls in walk() if cls.__module__ == FaasError.__module__]
    leaves = [cls for cls in ours if cls.__name__ not in parents]
    rows = [f"| `{cls.__name__}` | {cls.http_status} | `{cls.code}` |" for cls in leaves]
    assert [row for row in rows if row not in page] == []


def test_every_setting_is_listed_with_its_meaning() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    missing = [
        name
        for name in Settings.__struct_fields__
        if f"| `{PREFIX}{name.upper()}` |" not in page or meaning(name) not in page
    ]
    assert missing == []


@pytest.mark.parametrize("page", DOCS, ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_first_code_is_within_the_first_fifty_lines_of_the_readme() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert lines.index("from jupyter_faas import serverless") < 50


def test_pictures_are_few_and_small() -> None:
    pictures = sorted(ROOT.glob("docs/pictures/*.png"))
    assert 0 < len(pictures) <= 8
    assert [one.name for one in pictures if one.stat().st_size > 150_000] == []
