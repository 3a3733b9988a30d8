"""`%faas` and `%%faas` in a real kernel, against a gateway in this process."""

from __future__ import annotations

import json

import pytest

from tests.client.pretend_gateway import PretendGateway
from tests.notebook.kernel import Kernel


@pytest.fixture(autouse=True)
def loaded(kernel: Kernel) -> None:
    kernel.run("%load_ext jupyter_faas")


def said(kernel: Kernel, code: str) -> str:
    """Return what a wrong cell is told."""
    return "\n".join(kernel.error(code)["traceback"])


def test_a_cell_is_deployed_and_its_name_is_the_remote_function(
    kernel: Kernel, gateway: PretendGateway
) -> None:
    cell = kernel.run("%%faas deploy --max-containers 3\ndef plus(x):\n    return x + 1")
    assert "plus.deploy()" in kernel.text(cell)
    assert kernel.value("plus.remote(2)") == "3"
    assert kernel.value("plus(2)") == "3"
    assert gateway.functions["plus"].settings.scaling.max_containers == 3


def test_what_a_cell_decorates_is_deployed_and_its_output_shown(
    kernel: Kernel, gateway: PretendGateway
) -> None:
    kernel.run("from jupyter_faas import serverless")
    cell = kernel.run(
        "%%faas deploy\nprint('ran')\n@serverless\ndef one(x): return x\n"
        "@serverless(name='second')\ndef two(x): return x\ndef helper(): ..."
    )
    assert kernel.text(cell) == "ran\none.deploy()\ntwo.deploy()\n"
    assert {"one", "second"} <= set(gateway.functions)
    cell = kernel.run("%%faas deploy --entry b\ndef a(): ...\ndef b(): return 'b'")
    assert "b.deploy()" in kernel.text(cell)
    assert kernel.value("type(a).__name__") == "'function'"


def test_a_cell_that_awaits_is_deployed_and_the_kernel_goes_on(kernel: Kernel) -> None:
    cell = kernel.run(
        "%%faas deploy\nimport asyncio\nloop = asyncio.get_running_loop()\n"
        "step = await asyncio.sleep(0, 2)\nprint('ran')\n"
        "def further(x):\n    return x + step"
    )
    assert kernel.text(cell) == "ran\nfurther.deploy()\n"
    assert kernel.value("await asyncio.sleep(0, further.remote(1))") == "3"
    assert kernel.value("loop.is_closed()") == "True"


def test_a_cell_that_fails_deploys_nothing(kernel: Kernel, gateway: PretendGateway) -> None:
    cell = kernel.start("%%faas deploy\ndef half(): ...\n1 / 0")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        kernel.finish(cell)
    assert "half" not in gateway.functions


def test_line_magics_say_their_python_call(kernel: Kernel, gateway: PretendGateway) -> None:
    kernel.run("%%faas deploy\ndef minus(x):\n    return x - 1")
    kernel.run("%%faas deploy\ndef minus(x):\n    return x - 2")
    for line, call in [
        ("%faas list", "faas.functions()"),
        ("%faas status", "faas.gateway()"),
        ("%faas status minus", "faas.function('minus').status()"),
        ("%faas logs minus --tail 5", "faas.function('minus').logs(tail=5)"),
        ("%faas logs minus -f", "faas.function('minus').logs(follow=True)"),
        ("%faas revisions minus", "faas.function('minus').revisions()"),
        ("%faas replicas minus", "faas.function('minus').replicas()"),
        ("%faas rollback minus 1", "faas.function('minus').rollback(1)"),
        ("%faas rollback minus", "faas.function('minus').rollback()"),
        ("%faas traffic minus", "faas.function('minus').traffic()"),
        ("%faas traffic minus 1=50 2=50", "faas.function('minus').traffic({1: 50, 2: 50})"),
        (
            "%faas scale minus --min-containers 1",
            "faas.function('minus').update_autoscaler(min_containers=1)",
        ),
        ("%faas panel minus", "faas.function('minus').panel()"),
        ("%faas panel", "faas.panel()"),
        ("%faas capture minus", "minus.capture()"),
        ("%faas doctor", "!jupyter-faas doctor"),
        ("%faas delete minus", "faas.function('minus').delete()"),
    ]:
        assert call in kernel.text(kernel.run(line)), line
    assert "minus" not in gateway.functions


def test_json_twins_are_json(kernel: Kernel) -> None:
    kernel.run("%%faas deploy\ndef twin(x):\n    return x")
    kernel.run("import json")
    for line in [
        "list",
        "status",
        "status twin",
        "logs twin",
        "revisions twin",
        "replicas twin",
        "traffic twin",
        "scale twin --max-containers 4",
        "capture twin",
        "doctor",
        "connect",
        "delete twin",
    ]:
        cell = kernel.run(f"found = %faas {line} --json\njson.loads(found) is None")
        assert kernel.text(cell) == "", line
    shown = kernel.value("%faas list --json")
    assert isinstance(json.loads(shown), list)
    assert "do not go together" in json.loads(said(kernel, "%faas logs x -f --json"))["detail"]
    problem = json.loads(said(kernel, "%faas status nobody --json"))
    assert problem["code"] == "function_not_found"


def test_settings_have_their_origin(kernel: Kernel) -> None:
    shown = kernel.value("%faas doctor")
    assert "gateway_url" in shown
    assert "FAAS_GATEWAY_URL" in shown
    assert "a token for tests" not in shown


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("%faas statsu f", "Did you mean 'status'"),
        ("%faas", "Commands: list, status"),
        ("%faas status a b", "does not take 'b'"),
        ("%faas status nobody", "nobody"),
        ("%faas traffic x", "No function"),
        ("%faas traffic x 1:2", "write REVISION=WEIGHT"),
        ("%faas rollback x one", "number of a revision"),
        ("%faas scale x", "say what to change"),
        ("%faas capture nobody", "no remote function of this name in this notebook"),
        ("%faas status 'Xy", '"status \'Xy" cannot be read: no closing quotation.'),
        ("%%faas list\n1", "it is %faas list"),
        ("%%faas deploy --max-container 3\ndef f(): ...", "Did you mean --max-containers"),
        ("%%faas deploy --max-containers 0\ndef f(): ...", "max_containers=0"),
        ("%%faas deploy\na = 1", "--entry"),
        ("%%faas deploy --entry g\ndef f(): ...", "--entry g: the cell defines f"),
        ("%%faas deploy --cpu 1\n@serverless\ndef f(): ...", "belong into @serverless"),
        ("%%faas run\n!ls", "run in the notebook"),
        ("%%faas run -o nothing\na = 1", "the cell assigns a"),
    ],
)
def test_a_mistake_is_a_sentence_and_fails_the_cell(
    kernel: Kernel, line: str, expected: str
) -> None:
    told = said(kernel, line)
    assert expected in told
    assert told.startswith("✕ ")
    assert "Traceback" not in told
    assert "magics.py" not in told


def test_help_lists_what_there_is(kernel: Kernel) -> None:
    assert "rollback" in kernel.text(kernel.run("%faas --help"))
    assert "--min-containers N" in kernel.text(kernel.run("%faas scale --help"))
    assert "--out A,B" in kernel.text(kernel.run("%%faas run --help\n1"))
    assert "--out A,B" in kernel.text(kernel.run("%faas run --help"))
    assert "deploy" in kernel.text(kernel.run("%%faas --help\n1"))


def test_tab_completes_commands_names_and_options(kernel: Kernel, gateway: PretendGateway) -> None:
    kernel.run("%%faas deploy\ndef complete_me(x):\n    return x")

    def matches(code: str) -> list[str]:
        reply = kernel.client.complete(code, reply=True, timeout=20)
        return list(reply["content"]["matches"])

    assert "status" in matches("%faas sta")
    assert "complete-me" in matches("%faas status comp")
    assert matches("%faas scale complete-me --min") == ["--min-containers"]
    assert "--entry" in matches("%%faas deploy --en")


def test_the_extension_can_be_unloaded_and_loaded_again(kernel: Kernel) -> None:
    kernel.run("%unload_ext jupyter_faas")
    assert "not found" in kernel.text(kernel.run("%faas list"), "stderr")
    kernel.run("%load_ext jupyter_faas")
    kernel.run("%faas list")
