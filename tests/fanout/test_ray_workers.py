"""The PATCH by which a host scales its workers, against a server that speaks TLS and records."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jupyter_faas.fanout.ray.scaling import Limits, Scaling, Worker
from jupyter_faas.fanout.ray.workers import Scale, ScaleRefused, Workers, workers_of


class ApiServer:
    """Records patches; `status` is what it answers."""

    def __init__(self, directory: Path) -> None:
        self.status = 200
        self.seen: list[tuple[str, str, str, Any]] = []
        self.account = directory
        _write_account(directory)
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PATCH(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                head = self.headers
                api.seen.append((self.path, head["Content-Type"], head["Authorization"], body))
                self.send_response(api.status)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "ca.crt", directory / "key.pem")
        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.environ = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self._server.server_address[1]),
        }

    def scale(self, target: str) -> Scale:
        return Scale(target, self.environ, self.account)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    server = ApiServer(tmp_path)
    yield server
    server.close()


def test_a_statefulset_is_scaled_by_its_subresource_with_the_pods_own_token(api: ApiServer) -> None:
    api.scale("statefulset/faas-ray-worker").set(3)
    path = "/apis/apps/v1/namespaces/team-a/statefulsets/faas-ray-worker/scale"
    body = {"spec": {"replicas": 3}}
    assert api.seen == [(path, "application/merge-patch+json", "Bearer own-token", body)]


def test_a_raycluster_gets_the_replicas_of_its_first_group(api: ApiServer) -> None:
    api.scale("raycluster/faas-ray").set(2)
    path = "/apis/ray.io/v1/namespaces/team-a/rayclusters/faas-ray"
    body = [{"op": "replace", "path": "/spec/workerGroupSpecs/0/replicas", "value": 2}]
    assert api.seen == [(path, "application/json-patch+json", "Bearer own-token", body)]


def test_a_refusal_is_told_with_what_the_api_server_says(api: ApiServer) -> None:
    api.status = 403
    with pytest.raises(ScaleRefused, match="403"):
        api.scale("deployment/workers").set(1)


def test_workers_are_asked_for_once_and_again_later_when_it_was_refused(api: ApiServer) -> None:
    workers = Workers(api.scale("deployment/workers"), Scaling(Limits(0, 4, 60.0)), cpus=2)
    api.status = 503
    workers.look(3, [], now_s=0.0)
    workers.look(3, [], now_s=1.0)
    assert len(api.seen) == 1, "not again at once"
    api.status = 200
    workers.look(3, [], now_s=6.0)
    workers.look(4, there(), now_s=6.5)
    assert [seen[3]["spec"]["replicas"] for seen in api.seen] == [2, 2]
    workers.look(0, there(), now_s=7.0)
    workers.look(0, there(), now_s=67.0)
    assert api.seen[-1][3]["spec"]["replicas"] == 0


def test_idle_workers_above_the_busy_ones_are_sent_away_while_a_map_runs(api: ApiServer) -> None:
    workers = Workers(api.scale("statefulset/workers"), Scaling(Limits(0, 4, 60.0)), cpus=2)
    assert not workers.look(4, there(), now_s=0.0)
    assert not workers.look(1, there(busy=0), now_s=30.0)
    gone = workers.look(1, there(busy=0), now_s=60.0)
    assert [worker.name for worker in gone] == ["workers-1"]
    assert [seen[3]["spec"]["replicas"] for seen in api.seen] == [2, 1]
    workers.look(1, there(busy=1), now_s=61.0)
    assert api.seen[-1][3]["spec"]["replicas"] == 2, "one that is busy after all stays"


def test_what_is_to_be_scaled_is_checked_before_anything_is_served() -> None:
    assert workers_of({}) is None
    assert workers_of({"FAAS_RAY_WORKERS": "statefulset/one"}) is not None
    with pytest.raises(ValueError, match="statefulset/NAME"):
        workers_of({"FAAS_RAY_WORKERS": "pod/one"})


def there(busy: int | None = None) -> list[Worker]:
    return [Worker(f"node-{n}", f"workers-{n}", 2, n == busy) for n in range(2)]


def _write_account(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "api")])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "ca.crt").write_bytes(certificate.public_bytes(pem))
    (directory / "key.pem").write_bytes(private)
    (directory / "token").write_text("own-token\n")
    (directory / "namespace").write_text("team-a")
