"""What `make lab-build` makes, and what of it a wheel holds."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "jupyter_faas/_labextension"
WIDGET = ROOT / "jupyter_faas/notebook/static"
MAX_BYTES = 150_000

pytestmark = pytest.mark.skipif(
    not (EXTENSION / "package.json").exists(), reason="not built: `make lab-build`"
)


def pages() -> list[Path]:
    """Return what browsers load."""
    built = [*EXTENSION.rglob("*"), *WIDGET.rglob("*")]
    return [path for path in built if path.suffix in {".js", ".css"}]


@pytest.mark.parametrize("bundle", [EXTENSION, WIDGET], ids=["extension", "widget"])
def test_what_a_page_loads_is_small(bundle: Path) -> None:
    """A page loads one of them: the widget only where the extension is missing."""
    sizes = {path.name: path.stat().st_size for path in pages() if bundle in path.parents}
    assert 0 < sum(sizes.values()) <= MAX_BYTES, sizes


def test_pages_load_nothing_from_elsewhere() -> None:
    named = {"http://www.w3.org/", "https://react.dev/"}  # namespaces of SVG and MathML, a message
    for path in pages():
        text = path.read_text(encoding="utf-8")
        for known in named:
            text = text.replace(known, "")
        assert "http://" not in text, path.name
        assert "https://" not in text, path.name


def test_lab_knows_where_the_extension_comes_from() -> None:
    package = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
    assert (EXTENSION / package["jupyterlab"]["_build"]["load"]).is_file()
    install = json.loads((EXTENSION / "install.json").read_text(encoding="utf-8"))
    assert install["packageName"] == "jupyter_faas"


@pytest.mark.e2e
def test_a_wheel_holds_the_extension_and_the_widget(tmp_path: Path) -> None:
    build = [ROOT / "tools/uv", "build", "--quiet", "--wheel", "--out-dir", tmp_path, ROOT]
    subprocess.run(build, check=True, timeout=170)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    shared = [name for name in names if "/data/share/jupyter/labextensions/jupyter-faas/" in name]
    for wanted in ("package.json", "install.json"):
        assert any(name.endswith(f"jupyter-faas/{wanted}") for name in shared), shared
    assert any("/static/remoteEntry." in name for name in shared)
    assert "jupyter_faas/notebook/static/panel.js" in names
    assert not [name for name in names if "_labextension" in name or "node_modules" in name]
