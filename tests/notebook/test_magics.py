"""`%faas` and `%%faas deploy` in a real kernel."""

from __future__ import annotations

import pytest

from tests.client.pretend_gateway import PretendGateway
from tests.notebook.kernel import Kernel


@pytest.fixture(autouse=True)
def loaded(kernel: Kernel) -> None:
    kernel.run("%load_ext jupyter_faas")


def test_a_cell_is_deployed_and_its_name_is_the_remote_function(
    kernel: Kernel, gateway: PretendGateway
) -> None:
    cell = kernel.run("%%faas deploy --max-containers 3\ndef plus(x):\n    return x + 1")
    assert "plus.deploy()" in kernel.text(cell)
    assert kernel.value("plus.remote(2)") == "3"
    assert kernel.value("plus(2)") == "3"
    assert gateway.functions["plus"].settings.scaling.max_containers == 3


def test_line_magics_say_their_python_call(kernel: Kernel, gateway: PretendGateway) -> None:
    kernel.run("%%faas deploy\ndef minus(x):\n    return x - 1")
    kernel.run("%%faas deploy\ndef minus(x):\n    return x - 2")
    for line, call in [
        ("%faas list", "faas.functions()"),
        ("%faas status minus", "faas.function('minus').status()"),
        ("%faas revisions minus", "faas.function('minus').revisions()"),
        ("%faas rollback minus 1", "faas.function('minus').rollback(1)"),
        ("%faas traffic minus 1=50 2=50", "faas.function('minus').traffic({1: 50, 2: 50})"),
        (
            "%faas scale minus --min-containers 1",
            "faas.function('minus').update_autoscaler(min_containers=1)",
        ),
        ("%faas capture minus", "minus.capture()"),
        ("%faas delete minus", "faas.function('minus').delete()"),
    ]:
        assert call in kernel.text(kernel.run(line)), line
    assert "minus" not in gateway.functions


def test_a_mistake_is_answered_with_a_sentence(kernel: Kernel) -> None:
    for line, said in [
        ("%faas statsu f", "Did you mean 'status'"),
        ("%faas status", "needs the name of a function"),
        ("%faas status nobody", "nobody"),
        ("%faas traffic x", "No function"),
        ("%%faas run\n1", "%%faas deploy"),
        ("%%faas deploy --max-container 3\ndef f(): ...", "max_containers"),
        ("%%faas deploy\na = 1", "--entry"),
    ]:
        cell = kernel.run(line)
        assert said in kernel.text(cell), line
        assert "Traceback" not in kernel.text(cell)
