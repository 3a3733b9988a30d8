"""Which cluster's gateway is meant, and when a pod uses its cluster's."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from jupyter_faas.client import cluster, connect
from jupyter_faas.client.cluster import ClusterAddress, TokenFile, answers, own_pod, parse_cluster
from jupyter_faas.client.session import session
from jupyter_faas.core.errors import GatewayUnavailable, InvalidSpec


@pytest.mark.parametrize(
    ("url", "context", "namespace"),
    [
        ("kubernetes", "", ""),
        ("kubernetes://", "", ""),
        ("kubernetes://prod", "prod", ""),
        ("kubernetes://prod/", "prod", ""),
        ("kubernetes://prod/team-a", "prod", "team-a"),
        ("kubernetes:///team-a", "", "team-a"),
        ("kubernetes://admin@kind", "admin@kind", ""),
        ("kubernetes://eks%3Acluster%2Fprod/team-a", "eks:cluster/prod", "team-a"),
        ("kubernetes://default/api-host:6443/Me_1", "default/api-host:6443/Me_1", ""),
    ],
)
def test_an_address_names_context_and_namespace(url, context, namespace):
    assert parse_cluster(url)[:2] == (context, namespace)
    assert parse_cluster(parse_cluster(url).url)[:2] == (context, namespace)


def test_a_context_with_a_slash_in_its_name_is_found_among_those_there_are():
    address = parse_cluster("kubernetes://arn:aws:eks:eu:1:cluster/prod")
    assert address.among(frozenset({"arn:aws:eks:eu:1:cluster/prod"}))[:2] == (
        "arn:aws:eks:eu:1:cluster/prod",
        "",
    )
    assert address.among(frozenset({"arn:aws:eks:eu:1:cluster"})).namespace == "prod"


@pytest.mark.parametrize("url", ["kubernetes:prod", "kubernetes://prod?x=1", "kubernetes:/prod"])
def test_what_is_no_address_is_refused_with_those_that_are(url):
    assert cluster.is_cluster(url)
    with pytest.raises(InvalidSpec, match="kubernetes://CONTEXT/NAMESPACE"):
        parse_cluster(url)


def test_other_addresses_name_no_cluster():
    assert not any(map(cluster.is_cluster, ["", "http://kubernetes", "unix:/k", "embedded"]))


@pytest.fixture
def account(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "namespace").write_text("team-a")
    return tmp_path


IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def test_a_process_in_a_pod_knows_its_namespace(account):
    pod = own_pod(IN_CLUSTER, account)
    assert pod is not None
    assert pod.namespace == "team-a"


def test_without_service_account_or_variable_there_is_no_pod(account, tmp_path):
    assert own_pod({}, account) is None
    assert own_pod(IN_CLUSTER, tmp_path / "none") is None
    (account / "token").write_text("")
    assert own_pod(IN_CLUSTER, account) is None


def test_a_token_is_read_again_when_its_file_is_replaced(account):
    file = TokenFile(account / "token")
    assert file.token() == "first"
    assert not file.is_due()
    (account / "new").write_text("second")
    os.utime(account / "new", ns=(1, 1))
    (account / "new").replace(account / "token")
    assert file.is_due()
    assert file.token() == "second"
    assert not file.is_due()


def test_a_token_that_is_away_for_a_moment_stays_good(account):
    file = TokenFile(account / "token")
    file.token()
    (account / "token").unlink()
    assert not file.is_due()
    with pytest.raises(GatewayUnavailable, match="cannot be read"):
        file.token()


@contextmanager
def server(reply: bytes) -> Iterator[str]:
    """A server that gives every connection one reply."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1024)
                    connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_gateway_that_answers_is_there():
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as url:
        assert answers(url, timeout_s=20.0)
    with server(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as url:
        assert not answers(url, timeout_s=20.0)


def test_a_name_that_does_not_resolve_means_that_there_is_none():
    assert not answers("http://no-such-name.invalid")


def test_silence_means_that_there_is_none():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not answers(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=0.05)


def test_a_service_without_a_ready_pod_is_an_error_and_not_another_gateway():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody else listens there, and nobody does here
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(GatewayUnavailable, match="FAAS_GATEWAY_URL=embedded"):
            answers(url, timeout_s=20.0)


@pytest.fixture
def pod(account: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process seems to be in a pod; the embedded gateway is a mark."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    for name in ("FAAS_GATEWAY_URL", "FAAS_GATEWAY_TOKEN", "FAAS_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cluster, "SERVICE_ACCOUNT", account)
    monkeypatch.setattr(connect, "_embedded", lambda *_: "the embedded gateway")
    monkeypatch.setattr(session, "gateway", None)
    return account


def test_a_pod_uses_the_gateway_of_its_cluster(pod, monkeypatch):
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as url:
        monkeypatch.setattr(cluster, "service_url", lambda _namespace: url)
        monkeypatch.setattr(cluster, "answers", partial(answers, timeout_s=20.0))
        gateway = connect.connect()
        assert (gateway.url, gateway.namespace, gateway.token) == (url, "team-a", "first")
        (pod / "token").write_text("second, and longer")
        os.utime(pod / "token", ns=(1, 1))
        gateway.open("GET", "/", ())[0].close()
        assert gateway.authorization[1] == b"Bearer second, and longer"
        assert connect.connect(namespace="team-b").namespace == "team-b"


def test_a_pod_of_a_cluster_without_gateway_uses_the_embedded_one(pod, monkeypatch):
    monkeypatch.setattr(cluster, "answers", lambda _url: False)
    assert connect.connect() == "the embedded gateway"


def test_a_pod_can_be_told_to_use_the_embedded_one(pod, monkeypatch):
    monkeypatch.setattr(cluster, "answers", lambda _url: True)
    assert connect.connect("embedded") == "the embedded gateway"
    monkeypatch.setenv("FAAS_GATEWAY_URL", "embedded")
    assert connect.connect() == "the embedded gateway"


def test_a_replica_uses_what_it_was_given(pod, monkeypatch):
    monkeypatch.setenv("FAAS_GATEWAY_URL", "http://gateway:8081")
    monkeypatch.setenv("FAAS_GATEWAY_TOKEN", "for calls")
    gateway = connect.connect()
    assert (gateway.url, gateway.token) == ("http://gateway:8081", "for calls")


def test_in_a_pod_kubernetes_needs_no_kubeconfig(pod, monkeypatch):
    monkeypatch.setenv("FAAS_SYSTEM_NAMESPACE", "platform")
    gateway = connect.connect("kubernetes:///team-c")
    assert gateway.url == "http://jupyter-faas-gateway.platform.svc"
    assert (gateway.namespace, gateway.token) == ("team-c", "first")


def test_address_and_context_are_not_given_both():
    with pytest.raises(InvalidSpec, match="give one of them"):
        connect.connect("http://gateway", context="prod")
    assert connect._named("kubernetes", "prod") == "kubernetes://prod"
    assert connect._named(None, "a/b") == ClusterAddress("a/b").url
