"""Plain HTTP, as curl speaks it: each way a call can go has its status, code and sentence."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import time
from collections.abc import Iterator

import pytest

from jupyter_faas.gateway.auth import call_token
from tests.e2e import functions
from tests.e2e.gateway import Gateway, wait_until

SETTINGS = {"FAAS_MAX_BODY_BYTES": 2_000_000, "FAAS_QUEUE_LIMIT_PER_FUNCTION": 2}

DEPLOYED = [
    functions.double, functions.add, functions.size_of, functions.text, functions.raw,
    functions.point, functions.not_json, functions.fail, functions.count, functions.count_async,
    functions.breaks_off, functions.too_slow, functions.one_at_a_time, functions.waits,
    functions.open_to_all,
]  # fmt: skip  # one screen, not fifteen lines


@pytest.fixture(scope="module", autouse=True)
def deployed(gateway: Gateway) -> None:
    for function in DEPLOYED:
        function.deploy()


def exchange(gateway: Gateway, data: bytes, *, answers: int = 1, timeout_s: float = 10.0) -> bytes:
    """Send raw bytes, read until that many status lines came and the rest is quiet or closed."""
    with socket.create_connection(gateway.address, timeout=timeout_s) as link:
        link.sendall(data)
        seen = b""
        while seen.count(b"HTTP/1.1 ") < answers or not seen.rstrip().endswith((b"}", b"8")):
            piece = link.recv(65536)
            if not piece:
                break
            seen += piece
        return seen


def head(gateway: Gateway, *lines: str) -> bytes:
    """Return a POST to `double` with the token and these further header lines."""
    first = ["POST /function/double HTTP/1.1", "Host: x", f"Authorization: Bearer {gateway.token}"]
    return ("\r\n".join([*first, *lines]) + "\r\n\r\n").encode()


@contextlib.contextmanager
def held(gateway: Gateway, name: str, seconds: float) -> Iterator[None]:
    """Have a call made by a caller that leaves at the end of the block."""
    body = json.dumps(seconds).encode()
    first = (f"POST /function/{name} HTTP/1.1", "Host: x", f"Authorization: Bearer {gateway.token}")
    with socket.create_connection(gateway.address, timeout=10) as link:
        link.sendall("\r\n".join([*first, f"Content-Length: {len(body)}", "", ""]).encode() + body)
        yield


def in_flight(gateway: Gateway, name: str) -> int:
    return sum(row.get("inFlight", 0) for row in gateway.replicas(name))


def queued(gateway: Gateway, name: str) -> int:
    page = gateway.request("GET", "/metrics").body.decode()
    rows = re.findall(r"^faas_invocations_queued\{(.*?)\} (\S+)$", page, re.MULTILINE)
    return sum(int(float(n)) for labels, n in rows if f'function="{name}"' in labels)


# -- results --------------------------------------------------------------------------------


def test_an_object_is_keyword_arguments(gateway: Gateway) -> None:
    answer = gateway.call("add", {"a": 1, "b": 2})
    assert (answer.status, answer.json()) == (200, 3)
    assert answer.headers["content-type"].startswith("application/json")


def test_an_array_is_positional_arguments_and_defaults_hold(gateway: Gateway) -> None:
    assert gateway.call("add", [1]).json() == 11
    assert gateway.call("add", [1, 5]).json() == 6


def test_anything_else_is_one_argument(gateway: Gateway) -> None:
    assert gateway.call("double", 21).json() == 42
    assert gateway.call("text", "hi").body == b"<hi>"


def test_curl_without_a_content_type_option_is_read_as_json(gateway: Gateway) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert gateway.call("double", b'{"x": 3}', headers=form).json() == 6
    assert gateway.call("double", b'{"x": 4}').json() == 8


def test_a_raw_body_reaches_a_function_with_one_bytes_parameter(gateway: Gateway) -> None:
    body = bytes(range(256)) * 100
    binary = {"Content-Type": "application/octet-stream"}
    assert gateway.call("size-of", body, headers=binary).json() == len(body)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert gateway.call("size-of", b"a=b", headers=form).json() == 3


def test_bytes_come_back_as_they_are(gateway: Gateway) -> None:
    assert gateway.call("raw", 256).body == bytes(range(256))


def test_a_dataclass_comes_back_as_an_object(gateway: Gateway) -> None:
    assert gateway.call("point", {"x": 2}).json() == {"x": 2, "y": -2}


def test_an_answer_says_which_revision_ran_and_for_how_long(gateway: Gateway) -> None:
    headers = gateway.call("double", 1).headers
    assert headers["faas-revision"] == "1"
    assert headers["faas-cold-start"] in {"0", "1"}
    assert float(headers["faas-queue-ms"]) >= 0
    assert float(headers["faas-run-ms"]) >= 0
    assert headers["faas-invocation-id"]


def test_the_callers_invocation_id_is_kept(gateway: Gateway) -> None:
    answer = gateway.call("double", 1, headers={"Faas-Invocation-Id": "my-own.id-1"})
    assert answer.headers["faas-invocation-id"] == "my-own.id-1"


def test_an_invocation_id_that_could_break_a_header_is_refused(gateway: Gateway) -> None:
    answer = gateway.call("double", 1, headers={"Faas-Invocation-Id": "a b;c"})
    assert (answer.status, answer.code) == (400, "bad_request")


def test_a_generator_is_json_lines(gateway: Gateway) -> None:
    for name in ("count", "count-async"):
        answer = gateway.call(name, {"n": 4})
        assert answer.status == 200
        assert [json.loads(line) for line in answer.body.splitlines()] == [0, 1, 2, 3]


def test_a_generator_is_server_sent_events_if_asked_for(gateway: Gateway) -> None:
    answer = gateway.call("count", {"n": 2}, headers={"Accept": "text/event-stream"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = [line[5:].strip() for line in answer.body.splitlines() if line.startswith(b"data:")]
    assert [json.loads(text) for text in found][:2] == [0, 1]


def test_a_short_stream_gives_its_replica_back_every_time(gateway: Gateway) -> None:
    """Its items and its end may reach the front in one read, or in several."""
    for n in [0, 1, 2, 3] * 100:
        answer = gateway.call("count", {"n": n}, timeout_s=10.0)
        assert [json.loads(line) for line in answer.body.splitlines()] == list(range(n))


def test_a_late_error_is_the_last_json_line(gateway: Gateway) -> None:
    answer = gateway.call("breaks-off", {"n": 2})
    *items, last = [json.loads(line) for line in answer.body.splitlines()]
    assert items == [0, 1]
    assert "no more" in last["error"]["detail"]


def test_a_namespace_may_be_named(gateway: Gateway) -> None:
    assert gateway.call("default/double", 2).json() == 4
    assert gateway.call("elsewhere/double", 2).status == 404


# -- what goes wrong ------------------------------------------------------------------------


def test_an_unknown_function_is_404_and_named(gateway: Gateway) -> None:
    answer = gateway.call("no-such", 1)
    assert (answer.status, answer.code) == (404, "function_not_found")
    assert "no-such" in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["faas-fault"] == "user"


@pytest.mark.parametrize("body", [b"{", b"", b"{'x': 3}", b"nul", b'{"x": NaN}', b"\xff\xfe"])
def test_bad_json_is_400_with_its_place(gateway: Gateway, body: bytes) -> None:
    answer = gateway.call("double", body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "bad_request")
    assert len(answer.json()["detail"]) > 15


@pytest.mark.parametrize("body", [{}, {"y": 1}, {"x": 1, "y": 2}, [1, 2], []])
def test_wrong_arguments_are_400_and_the_signature_is_shown(gateway: Gateway, body: object) -> None:
    answer = gateway.call("double", body)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert "x" in answer.json()["detail"]


def test_a_compressed_json_body_is_refused_with_what_to_do(gateway: Gateway) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = gateway.call("double", gzip.compress(b"2"), headers=headers)
    assert (answer.status, answer.code) == (415, "bad_request")
    assert "uncompressed" in answer.json()["detail"]


def test_every_problem_of_a_call_names_it(gateway: Gateway) -> None:
    answer = gateway.call("double", {"y": 1})
    assert answer.json()["invocation_id"] == answer.headers["faas-invocation-id"]


def test_deeply_nested_json_is_refused_not_a_crash(gateway: Gateway) -> None:
    answer = gateway.call("double", b"[" * 100_000 + b"]" * 100_000)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert gateway.call("double", 1).json() == 2


def test_too_large_a_body_is_413_and_both_sizes_are_named(gateway: Gateway) -> None:
    answer = gateway.call("size-of", bytes(2_000_001))
    assert (answer.status, answer.code) == (413, "payload_too_large")
    assert "2000000" in answer.json()["detail"].replace(",", "").replace("_", "").replace(" ", "")


def test_too_large_a_chunked_body_is_413(gateway: Gateway) -> None:
    connection = gateway.connect()
    pieces: Iterator[bytes] = (bytes(100_000) for _ in range(30))
    token = {"Authorization": f"Bearer {gateway.token}", "Transfer-Encoding": "chunked"}
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request("POST", "/function/size-of", pieces, token, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413
    connection.close()


def test_a_bad_head_that_comes_again_is_refused_in_the_same_words(gateway: Gateway) -> None:
    connection = gateway.connect()
    headers = {"Authorization": f"Bearer {gateway.token}", "Faas-Seen": "abc"}
    seen = []
    for _ in range(3):
        connection.request("POST", "/function/double", b"1", headers)
        answer = connection.getresponse()
        seen.append((answer.status, json.loads(answer.read())["code"]))
    connection.close()
    assert seen == [(400, "bad_request")] * 3


def test_a_functions_own_token_cancels_nobodys_call(gateway: Gateway) -> None:
    answer = gateway.request("DELETE", "/v1/invocations/x", token=call_token(gateway.token))
    assert (answer.status, answer.code) == (403, "forbidden")


def test_a_time_out_is_504(gateway: Gateway) -> None:
    started = time.monotonic()
    answer = gateway.call("too-slow", 60)
    assert (answer.status, answer.code) == (504, "timeout")
    assert time.monotonic() - started < 30.0
    assert "1.5" in answer.json()["detail"]
    wait_until(lambda: gateway.call("too-slow", 0).body == b"null", what="the next one has time")


def test_the_callers_deadline_bounds_the_call(gateway: Gateway) -> None:
    started = time.monotonic()
    answer = gateway.call("waits", 60, headers={"Faas-Deadline-Ms": "200"})
    assert (answer.status, answer.code) == (504, "timeout")
    assert time.monotonic() - started < 30.0


@pytest.mark.parametrize("text", ["-1", "soon", "1e400", ""])
def test_a_deadline_that_is_no_number_is_400(gateway: Gateway, text: str) -> None:
    answer = gateway.call("double", 1, headers={"Faas-Deadline-Ms": text})
    assert (answer.status, answer.code) == (400, "bad_request")


def test_a_full_queue_says_when_to_come_back(gateway: Gateway) -> None:
    wait_until(lambda: not in_flight(gateway, "waits"), what="nothing of an earlier test runs")
    with held(gateway, "waits", 60.0):
        wait_until(lambda: in_flight(gateway, "waits") == 1, what="the first call runs")
        with held(gateway, "waits", 0.0), held(gateway, "waits", 0.0):
            wait_until(lambda: queued(gateway, "waits") == 2, what="the queue is full")
            refused = [gateway.call("waits", 0.0) for _ in range(5)]
    assert {(answer.status, answer.code) for answer in refused} <= {
        (429, "queue_full"),
        (503, "queue_full"),
    }
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert all(answer.headers["faas-fault"] == "capacity" for answer in refused)


def test_waiting_too_long_for_a_replica_is_503(gateway: Gateway) -> None:
    with held(gateway, "one-at-a-time", 60.0):
        wait_until(lambda: in_flight(gateway, "one-at-a-time") == 1, what="the first call runs")
        answer = gateway.call("one-at-a-time", 0)
    assert (answer.status, answer.code) == (503, "queue_timeout")
    assert "retry-after" in answer.headers


def test_an_exception_of_the_function_is_500_with_its_type_and_text(gateway: Gateway) -> None:
    answer = gateway.call("fail", {"message": "empty text"})
    assert answer.status == 500
    assert answer.headers["faas-fault"] == "user"
    assert "ValueError" in json.dumps(answer.json())
    assert "empty text" in answer.json()["detail"]


def test_a_result_without_json_form_is_422_and_names_the_path(gateway: Gateway) -> None:
    answer = gateway.call("not-json", {})
    assert (answer.status, answer.code) == (422, "result_not_json")
    assert "rows" in answer.json()["detail"]


def test_a_key_for_a_call_that_is_waited_for_is_not_built_yet_and_says_so(
    gateway: Gateway,
) -> None:
    answer = gateway.call("double", 1, headers={"Idempotency-Key": "k"})
    assert (answer.status, answer.code) == (501, "not_implemented")


def test_another_method_on_a_function_is_405(gateway: Gateway) -> None:
    answer = gateway.request("PUT", "/function/double", {"x": 1})
    assert answer.status == 405
    assert "POST" in answer.headers["allow"]


def test_an_unknown_path_is_a_problem_document_too(gateway: Gateway) -> None:
    answer = gateway.request("GET", "/v1/no-such-thing")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"


# -- tokens ---------------------------------------------------------------------------------

PATHS = [
    ("POST", "/function/double"),
    ("POST", "/function/no-such"),
    ("GET", "/v1/functions"),
    ("GET", "/v1/state"),
    ("GET", "/v1/events"),
    ("GET", "/v1/functions/double/logs"),
    ("GET", "/v1/inventory"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("DELETE", "/v1/functions/double"),
    ("GET", "/no-such-path"),
]


@pytest.mark.parametrize("token", [None, "wrong", "Zm9v" * 20])
@pytest.mark.parametrize(("method", "path"), PATHS)
def test_every_path_but_health_needs_the_token(
    gateway: Gateway, method: str, path: str, token: str | None
) -> None:
    answer = gateway.request(method, path, token=token)
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert "bearer" in answer.headers["www-authenticate"].lower()
    assert gateway.token not in answer.body.decode()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_token(gateway: Gateway, path: str) -> None:
    assert gateway.request("GET", path, token=None).status == 200


def test_a_public_function_needs_no_token(gateway: Gateway) -> None:
    assert gateway.call("open-to-all", 1, token=None).json() == 2


def test_the_state_directory_is_the_owners_alone(gateway: Gateway) -> None:
    where = gateway.state_dir
    assert (where / "gateway.json").stat().st_mode & 0o777 == 0o600
    assert (where / "gateway.sock").stat().st_mode & 0o077 == 0
    assert where.stat().st_mode & 0o077 == 0


def test_it_listens_on_loopback_only(gateway: Gateway) -> None:
    assert gateway.address[0] in {"127.0.0.1", "localhost"}


# -- the protocol ---------------------------------------------------------------------------


def test_pipelined_calls_are_answered_in_order(gateway: Gateway) -> None:
    calls = b"".join(
        head(gateway, f"Content-Length: {len(str(x))}") + str(x).encode() for x in (1, 2, 3, 4)
    )
    seen = exchange(gateway, calls, answers=4)
    bodies = [part.split(b"\r\n\r\n", 1)[1] for part in seen.split(b"HTTP/1.1 200")[1:]]
    assert bodies == [b"2", b"4", b"6", b"8"]


def test_two_lengths_for_one_body_are_refused(gateway: Gateway) -> None:
    lines = ("Content-Length: 1", "Transfer-Encoding: chunked")
    seen = exchange(gateway, head(gateway, *lines) + b"0\r\n\r\n")
    assert seen.startswith(b"HTTP/1.1 400")


def test_a_body_is_asked_for_when_the_caller_waits_for_that(gateway: Gateway) -> None:
    with socket.create_connection(gateway.address, timeout=10) as link:
        link.sendall(head(gateway, "Content-Length: 2", "Expect: 100-continue"))
        assert link.recv(65536).startswith(b"HTTP/1.1 100")
        link.sendall(b"21")
        assert link.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_body_too_large_is_refused_before_it_is_sent(gateway: Gateway) -> None:
    seen = exchange(gateway, head(gateway, "Content-Length: 9000000", "Expect: 100-continue"))
    assert seen.startswith(b"HTTP/1.1 413")


def test_too_long_a_head_is_431(gateway: Gateway) -> None:
    seen = exchange(gateway, head(gateway, "X-Long: " + "x" * 80_000))
    assert seen.startswith(b"HTTP/1.1 431")
    seen = exchange(gateway, head(gateway, *(f"X-{n}: 1" for n in range(150))))
    assert seen.startswith(b"HTTP/1.1 431")


@pytest.mark.parametrize(
    "data", [b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n\r\n"]
)
def test_what_is_not_http_is_refused_and_closed(gateway: Gateway, data: bytes) -> None:
    seen = exchange(gateway, data)
    assert seen.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
    assert b'"bad_request"' in seen


def test_a_hop_by_hop_header_of_the_caller_goes_no_further(gateway: Gateway) -> None:
    seen = exchange(
        gateway, head(gateway, "Connection: close, x-y", "X-Y: 1", "Content-Length: 1") + b"4"
    )
    assert seen.startswith(b"HTTP/1.1 200")


# -- control --------------------------------------------------------------------------------


def test_a_blob_must_be_what_its_name_says(gateway: Gateway) -> None:
    answer = gateway.request("PUT", f"/v1/blobs/{'0' * 64}", b"something else")
    assert 400 <= answer.status < 500
    assert gateway.request("GET", f"/v1/blobs/{'0' * 64}").status == 404


@pytest.mark.parametrize("name", ["UPPER", "a_b", "-a", "a" * 64, "..%2f..%2fetc"])
def test_a_name_that_is_no_dns_label_cannot_be_deployed(gateway: Gateway, name: str) -> None:
    answer = gateway.request("PUT", f"/v1/functions/{name}", {})
    assert answer.status in {400, 404, 422}
    assert answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"id": 3}', b'{"id": "x", "revision": {}}'])
def test_a_deployment_that_cannot_be_read_says_what_is_wrong(gateway: Gateway, body: bytes) -> None:
    answer = gateway.request("PUT", "/v1/functions/odd", body)
    assert answer.status in {400, 422}
    assert answer.code in {"bad_request", "invalid_spec"}
    assert len(answer.json()["detail"]) > 10


@pytest.mark.parametrize("weights", [{"1": -5}, {"99": 100}, {"x": 1}, {}, [1], {"1": 0}])
def test_traffic_that_cannot_be_is_refused_and_nothing_changes(
    gateway: Gateway, weights: object
) -> None:
    answer = gateway.request("PUT", "/v1/functions/double/traffic", weights)
    assert answer.status in {400, 404, 422}
    assert gateway.call("double", 4).json() == 8


def test_scaling_that_cannot_be_is_refused(gateway: Gateway) -> None:
    for body in ({"minContainers": 5, "maxContainers": 2}, {"maxContainers": -1}, {"colour": 1}):
        answer = gateway.request("PATCH", "/v1/functions/double/scaling", body)
        assert answer.status in {400, 422}, body


def test_metrics_count_each_outcome(gateway: Gateway) -> None:
    page = gateway.request("GET", "/metrics")
    assert page.status == 200
    assert b"# TYPE" in page.body


def test_the_openapi_document_describes_the_paths(gateway: Gateway) -> None:
    paths = gateway.request("GET", "/openapi.json").json()["paths"]
    assert "/v1/functions/{name}" in paths
    assert "/function/{name}" in paths


def test_a_deleted_function_is_unknown(gateway: Gateway) -> None:
    assert gateway.call("raw", 1).status == 200
    assert gateway.request("DELETE", "/v1/functions/raw").status in {200, 204}
    assert gateway.call("raw", 1).code == "function_not_found"
    assert gateway.request("DELETE", "/v1/functions/raw").status == 404
