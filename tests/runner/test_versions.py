"""Gateways of another version: the neighbouring ones work, others are told both versions."""

from __future__ import annotations

import json

import pytest

from jupyter_faas.core.model import PROTOCOL_VERSION
from tests.runner.harness import Replica


@pytest.mark.parametrize("distance", [-1, 1])
def test_a_gateway_of_the_neighbouring_version_works(replica: Replica, distance: int) -> None:
    replica.specialise(lambda: 1, protocol=PROTOCOL_VERSION + distance)
    assert replica.call().value == 1


def test_a_gateway_too_far_away_is_told_both_versions(replica: Replica) -> None:
    answer = replica.specialise(lambda: 1, protocol=PROTOCOL_VERSION + 2, expect=409)
    problem = json.loads(answer.body)
    assert problem["code"] == "environment_mismatch"
    assert f"protocol {PROTOCOL_VERSION + 2}, this runner {PROTOCOL_VERSION}" in problem["detail"]
