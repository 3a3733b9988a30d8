"""What cannot start says why, each in its own words, and what served before keeps serving."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_faas.core.version import VERSION
from tests.cluster.system import System, inline
from tests.support import wait_until

FINE = "def steady():\n    return 'steady'\n"


@pytest.fixture
def steady(system: System) -> Iterator[str]:
    system.apply(inline("steady", FINE))
    system.wait_ready("steady")
    yield "steady"
    system.delete("steady")


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"image": "nobody/has-this:1"}, "ImagePullFailed", "nobody/has-this:1"),
        ({"volumes": {"/models": "no-such-claim"}}, "VolumeClaimMissing", "no-such-claim"),
        ({"secrets": ["no-such-secret"]}, "SecretMissing", "no-such-secret"),
        ({"resources": {"cpu": "64"}}, "Unschedulable", "64"),
        ({"code": {"python": "3.9"}}, "NoPool", "3.9"),
        ({"runtimeClass": "no-such-class"}, "RuntimeClassMissing", "no-such-class"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_revision_that_cannot_start_says_why_and_the_old_one_serves(
    system: System, steady: str, spec: dict[str, Any], reason: str, words: str
) -> None:
    system.apply(inline(steady, FINE + "# changed\n", startupTimeoutSeconds=20, **spec))
    shown = wait_until(
        lambda: (found := system.condition(steady)).get("reason") == reason and found,
        60.0,
        what=f"Ready says {reason}",
        seen=lambda: system.get("fn", steady).get("status"),
    )
    assert words in shown["message"]
    assert system.condition(steady, "Serving")["status"] == "True"
    assert system.call(steady).body == b"steady"
    assert words in system.kubectl("describe", "fn", steady)


def test_a_quota_that_is_used_up_says_so_and_the_old_one_serves(
    system: System, steady: str
) -> None:
    used = system.living_pods()
    system.kubectl("create", "quota", "tight", f"--hard=pods={used}")
    try:
        wait_until(lambda: system.get("resourcequota", "tight")["status"].get("used"), 60.0)
        # Pods of its own: those of the pool are there already.
        own = {"image": f"jupyter-faas/runner:{VERSION}-py3.11"}
        system.apply(inline(steady, FINE + "# larger\n", startupTimeoutSeconds=20, **own))
        shown = wait_until(
            lambda: (found := system.condition(steady)).get("reason") == "QuotaExceeded" and found,
            60.0,
            seen=lambda: system.get("fn", steady).get("status"),
        )
        assert "`tight`" in shown["message"]
        assert system.call(steady).body == b"steady"
        assert "QuotaExceeded" in system.kubectl("describe", "fn", steady)
    finally:
        system.kubectl("delete", "quota", "tight")


def test_an_import_error_is_the_codes_own(system: System, steady: str) -> None:
    system.apply(inline(steady, "import nowhere_to_be_found\n" + FINE))
    shown = wait_until(
        lambda: (found := system.condition(steady)).get("status") == "False" and found,
        60.0,
        seen=lambda: system.get("fn", steady).get("status"),
    )
    assert "nowhere_to_be_found" in shown["message"]
    assert system.call(steady).body == b"steady"


def test_a_secret_without_the_label_may_not_be_used(system: System, steady: str) -> None:
    system.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "closed"},
            "stringData": {"TOKEN": "x"},
        }
    )
    system.apply(inline(steady, FINE + "# secret\n", secrets=["closed"]))
    wait_until(
        lambda: system.condition(steady).get("reason") == "SecretNotAllowed",
        60.0,
        seen=lambda: system.get("fn", steady).get("status"),
    )
    assert system.call(steady).body == b"steady"
