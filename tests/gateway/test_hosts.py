"""Which function a Host header means."""

from __future__ import annotations

import pytest

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway.hosts import Hosts, Target

ALONE = Hosts("default", "faas.example.org")
CLUSTER = Hosts("default", "faas.example.org", ("default", "team"))


@pytest.mark.parametrize(
    ("host", "target"),
    [
        (b"hello.faas.example.org", ("default", "hello")),
        (b"HELLO.Faas.Example.org:8080", ("default", "hello")),
        (b"hello.team.faas.example.org", ("team", "hello")),
        (b"hello.team.svc", ("team", "hello")),
        (b"hello.team.svc:80", ("team", "hello")),
        (b"hello.default.svc.cluster.local", ("default", "hello")),
        (b"hello.team.svc.other.domain", ("team", "hello")),
        (b"jupyter-faas-gateway.jupyter-faas.svc", None),
        (b"hello.elsewhere.svc", None),
        (b"hello.team.svcs", None),
        (b"hello.team", None),
        (b"faas.example.org", None),
        (b"127.0.0.1:8080", None),
        (b"[::1]:8080", None),
        (b"\xff.team.svc", ("team", "�")),
        (b"", None),
    ],
)
def test_a_host_on_a_cluster(host: bytes, target: Target | None) -> None:
    assert CLUSTER.target(host) == target
    assert CLUSTER.target(host) == target


def test_a_gateway_alone_has_its_domain_only() -> None:
    assert ALONE.target(b"hello.faas.example.org") == ("default", "hello")
    assert ALONE.target(b"hello.team.svc") is None
    with pytest.raises(BadRequest):
        ALONE.target(b"hello.team.faas.example.org")
    assert not Hosts("default", "")
    assert Hosts("default", "").target(b"hello.default.svc") is None


def test_what_is_remembered_has_a_bound() -> None:
    hosts = Hosts("default", "", ("team",))
    for n in range(5_000):
        assert hosts.target(f"f{n}.team.svc".encode()) == ("team", f"f{n}")
    assert len(hosts._known) <= 4096
