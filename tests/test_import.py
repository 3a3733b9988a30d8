"""What importing costs and brings along."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

import jupyter_faas as faas
from jupyter_faas.core import errors
from tests.support import untraced

HEAVY = ("kubernetes", "ray", "IPython", "ipykernel", "numpy", "pandas", "starlette", "uvloop")


def loaded_by(statement: str) -> set[str]:
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    with untraced():
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_importing_the_package_loads_next_to_nothing() -> None:
    loaded = loaded_by("import jupyter_faas")
    assert not loaded & {*HEAVY, "asyncio", "msgspec", "cloudpickle", "socket", "subprocess"}


def test_decorating_loads_no_heavy_module() -> None:
    loaded = loaded_by(
        "from jupyter_faas import serverless\n@serverless(max_containers=2)\ndef f(): ..."
    )
    assert not loaded & {*HEAVY, "asyncio", "cloudpickle", "ssl", "subprocess"}


def test_importing_the_package_is_quick() -> None:
    def seconds(statement: str) -> float:
        with untraced():
            begin_s = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            return time.perf_counter() - begin_s

    # The best of a few interleaved pairs: other work on the machine only ever adds.
    pairs = [(seconds("pass"), seconds("import jupyter_faas")) for _ in range(15)]
    bare_s, ours_s = (min(times) for times in zip(*pairs, strict=True))
    assert ours_s < 4 * bare_s, (bare_s, ours_s)


def test_every_public_name_is_there() -> None:
    for name in faas.__all__:
        assert getattr(faas, name) is not None
    assert set(faas.__all__) <= set(dir(faas))


def test_every_error_class_is_importable_from_the_package() -> None:
    for error in errors.walk():
        assert getattr(faas, error.__name__) is error


def test_gateway_is_a_function_also_when_the_subpackage_is_loaded() -> None:
    import jupyter_faas.gateway.entries  # noqa: F401 - sets the attribute of the same name

    assert faas.gateway.__module__ == "jupyter_faas.client.connect"
    assert callable(faas.gateway)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        faas.nothing  # type: ignore[attr-defined]  # noqa: B018
