from __future__ import annotations

import pytest

from tests.gateway.conftest import problem, until


async def test_a_call_is_answered_with_what_the_front_says(bench):
    await bench.ready()
    answer = await bench.call(body=b'{"x": 3}')
    assert (answer.status, answer.body) == (200, b'{"x": 3}')
    told = dict(answer.headers)
    assert told[b"faas-revision"] == b"1"
    assert told[b"faas-cold-start"] == b"0"
    assert float(told[b"faas-queue-ms"]) >= 0
    assert float(told[b"faas-run-ms"]) == 1.5
    assert told[b"faas-invocation-id"]
