import json

import pytest

from jupyter_faas.core.errors import BY_CODE, FaasError, InternalError, QueueFull
from jupyter_faas.wire.problems import problem_answer, read_problem


@pytest.mark.parametrize("cls", BY_CODE.values())
def test_every_error_makes_the_round_trip(cls):
    status, headers, body = problem_answer(cls("what, why, what to do", invocation_id="i", size=3))
    assert status == cls.http_status
    assert (b"Content-Type", b"application/problem+json") in headers
    assert (b"Faas-Fault", cls.fault.encode()) in headers
    error = read_problem(status, body)
    assert type(error) is cls
    assert (error.detail, error.invocation_id) == ("what, why, what to do", "i")
    assert error.extra["size"] == 3


def test_capacity_says_when_to_come_again():
    status, headers, _ = problem_answer(QueueFull("full", status=429, retry_after_s=0.2))
    assert status == 429
    assert (b"Retry-After", b"1") in headers


def test_odd_extras_are_written_as_text():
    _, _, body = problem_answer(FaasError("x", path=object))
    assert json.loads(body)["path"] == "<class 'object'>"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b"\xff"])
def test_what_is_no_problem_document(body):
    error = read_problem(502, body)
    assert isinstance(error, InternalError)
    assert "HTTP 502" in error.detail
