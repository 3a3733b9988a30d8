"""Claims whose answers are lost: the pod itself tells whose it is."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_faas.providers.kubernetes.api import KubeError
from jupyter_faas.providers.kubernetes.names import REPLICA_LABEL
from jupyter_faas.providers.kubernetes.pod_state import Pod
from jupyter_faas.providers.kubernetes.writing import claim_pod

POD = Pod(namespace="n", name="p", uid="u", version="7")
CONFLICT = KubeError(409, "Conflict", "the object has been modified")
LOST = KubeError(0, "Unreachable", "cut")


class Script:
    """An API that answers patches as told; what is stored says whose the pod is."""

    def __init__(self, answers: list[KubeError | None], replica: str) -> None:
        self._answers = answers
        self._stored = {"metadata": {"labels": {REPLICA_LABEL: replica}}}

    async def patch(self, _path: str, _body: Any) -> Any:
        answer = self._answers.pop(0)
        if answer is not None:
            raise answer
        return {"patched": True}

    async def find(self, _path: str) -> Any:
        return self._stored


@pytest.mark.parametrize("answers", [[CONFLICT], [LOST], [LOST, CONFLICT]])
async def test_a_claim_that_was_done_unheard_is_found_done(answers):
    api: Any = Script(list(answers), "mine")
    stored = await claim_pod(api, POD, "mine", {})
    assert stored["metadata"]["labels"][REPLICA_LABEL] == "mine"


async def test_a_claim_that_somebody_else_won_is_a_conflict():
    api: Any = Script([CONFLICT], "theirs")
    with pytest.raises(KubeError) as caught:
        await claim_pod(api, POD, "mine", {})
    assert caught.value.is_conflict


async def test_a_claim_that_was_not_heard_is_made_again():
    api: Any = Script([LOST, None], "")
    assert await claim_pod(api, POD, "mine", {}) == {"patched": True}
