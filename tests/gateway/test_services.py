"""Whose a Service is: one that we did not make for this function is left alone."""

from __future__ import annotations

from jupyter_faas.gateway.cluster.services import is_ours, service_body


def test_only_a_service_made_for_this_function_is_ours():
    own = service_body(("space", "f"), "uid", "gateway.system.svc")
    assert is_ours(own, ("space", "f"))
    assert not is_ours(own, ("space", "g"))
    assert not is_ours({"metadata": {"name": "f"}}, ("space", "f"))
    assert not is_ours({"metadata": {"labels": {"app": "f"}}}, ("space", "f"))
