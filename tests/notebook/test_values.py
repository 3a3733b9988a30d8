"""A kernel tells after each cell which functions run older values than the notebook has."""

from __future__ import annotations

from tests.client.pretend_gateway import PretendGateway
from tests.notebook.kernel import Kernel

DEFINE = """
from jupyter_faas import serverless
threshold = 0.5

@serverless
def weigh(x):
    return x > threshold
"""


def told(kernel: Kernel, cell: str) -> list[dict[str, list[str]]]:
    """Return what a cell has told of older values."""
    return [
        message["content"]["data"]["older"]
        for message in kernel.outputs[cell]
        if message["msg_type"] == "comm_msg"
        and message["content"]["comm_id"] == "jupyter-faas-values"
    ]


def test_what_changed_after_a_call_is_told_until_it_is_sent(
    kernel: Kernel, gateway: PretendGateway
) -> None:
    assert told(kernel, kernel.run(DEFINE)) == []  # nothing of it is deployed
    assert told(kernel, kernel.run("weigh.remote(1)")) == []
    assert told(kernel, kernel.run("threshold = 0.9")) == [{"weigh": ["threshold"]}]
    assert told(kernel, kernel.run("1 + 1")) == [{"weigh": ["threshold"]}]  # a page may be new
    assert told(kernel, kernel.run("weigh.remote(1)")) == [{}]  # deployed with what is now
    assert told(kernel, kernel.run("1 + 1")) == []


def test_cells_that_are_run_again_change_nothing(kernel: Kernel, gateway: PretendGateway) -> None:
    kernel.run("limit = {'a': 1}")
    kernel.run("@serverless\ndef bound(x): return limit")
    kernel.run("bound.remote(1)")
    assert told(kernel, kernel.run("limit = {'a': 1}")) == []
    assert told(kernel, kernel.run("limit['a'] = 2")) == [{"bound": ["limit"]}]
    assert told(kernel, kernel.run("del bound")) == [{}]
