"""Plain calls through front and worker."""

from __future__ import annotations

from tests.runner.harness import Replica


def test_a_function_is_called(replica: Replica) -> None:
    hello = replica.specialise(lambda x, y=1: x + y)
    assert hello.status == 200, hello
    answer = replica.call(3, y=4)
    assert answer.status == 200, answer
    assert answer.value == 7
    assert answer.end.outcome == "done"
    assert float(answer.headers["faas-run-ms"]) >= 0
