from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.core.model import DeployAnswer
from jupyter_faas.gateway.auth import call_token
from jupyter_faas.wire.upstream import Answer, request
from tests.gateway.conftest import TOKEN, Bench, problem, until

PACKAGE = b"a package"
DIGEST = hashlib.sha256(PACKAGE).hexdigest()


class Control:
    """Asks the control API of a bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def __call__(
        self, method: str, path: str, body: Any = None, *, token: str = TOKEN, raw: bytes = b""
    ) -> Answer:
        data = raw if body is None else msgspec.json.encode(body)
        told = [(b"Authorization", b"Bearer " + token.encode())]
        return await request(self.bench.upstream, method, path, told, data, timeout_s=20.0)

    async def json(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = await self(method, path, body)
        assert answer.status == status, answer.body
        return msgspec.json.decode(answer.body)

    async def deploy(self, name: str = "f", id: str = "1", **more: Any) -> Any:
        await self("PUT", f"/v1/blobs/{DIGEST}", raw=PACKAGE)
        answer = await self("PUT", f"/v1/functions/{name}", wish(id, **more))
        assert answer.status in (200, 201), answer.body
        return msgspec.json.decode(answer.body)

    async def ready(self, name: str = "f", id: str = "1", **more: Any) -> Any:
        number = (await self.deploy(name, id, **more))["revision"]["number"]
        path = f"/v1/functions/{name}/revisions/{number}?wait_s=10"
        revision = await self.json("GET", path)
        assert revision["state"] == "ready"
        return revision

    async def quiet(self) -> None:
        """Wait until what was asked for is there and what was let go is gone."""
        fleet = self.bench.service.fleet
        await until(lambda: all(one.is_idle for one in fleet.all()), "quiet")


def wish(id: str, **more: Any) -> dict[str, Any]:
    code = {"digest": DIGEST, "sizeBytes": len(PACKAGE), "entry": "f", "python": "3.11"}
    return {"id": id * 64, "revision": {"code": code}, **more}


@pytest.fixture
def control(bench: Bench) -> Control:
    return Control(bench)


async def test_a_blob_is_kept_once_and_given_back(control: Control) -> None:
    path = f"/v1/blobs/{DIGEST}"
    assert (await control("HEAD", path)).status == 404
    assert (await control("PUT", path, raw=PACKAGE)).status == 201
    assert (await control("PUT", path, raw=PACKAGE)).status == 200
    assert (await control("GET", path)).body == PACKAGE
    head = await control("HEAD", path)
    assert (head.status, head.body) == (200, b"")


async def test_a_blob_that_is_not_what_its_name_says_is_refused(control: Control) -> None:
    path = f"/v1/blobs/{'0' * 64}"
    answer = await control("PUT", path, raw=PACKAGE)
    assert answer.status == 400
    assert DIGEST in problem(answer)["detail"]
    assert (await control("GET", path)).status == 404
    assert (await control("PUT", "/v1/blobs/..%2fx", raw=PACKAGE)).status in (400, 404)


async def test_a_deploy_names_its_revision_and_the_wait_ends_when_it_is_ready(
    control: Control,
) -> None:
    answer = await control.deploy()
    typed = msgspec.convert(answer, DeployAnswer)
    assert (typed.created, typed.revision.number, typed.function.traffic) == (True, 1, {})
    assert answer["revision"]["state"] == "pending"  # defaults are written out
    revision = await control.json("GET", "/v1/functions/f/revisions/1?wait_s=10")
    assert (revision["state"], revision["weight"], revision["isLive"]) == ("ready", 100, True)


async def test_code_that_is_deployed_already_deploys_nothing(control: Control) -> None:
    await control.ready()
    again = await control("PUT", "/v1/functions/f", wish("1"))
    assert again.status == 200
    assert msgspec.json.decode(again.body)["created"] is False
    assert len((await control.json("GET", "/v1/functions/f/revisions"))["revisions"]) == 1


async def test_a_deploy_without_its_package_says_what_to_send(control: Control) -> None:
    told = problem(await control("PUT", "/v1/functions/f", wish("1")))
    assert told["code"] == "bad_request"
    assert told["missing_blob"] == DIGEST


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        (b"", "bad_request", "JSON"),
        (b"{", "bad_request", "JSON"),
        (b"[]", "invalid_spec", "object"),
        (b'{"id": 3}', "invalid_spec", "id"),
        (b'{"id": "x", "revision": {}}', "invalid_spec", "revision"),
        (
            b'{"id": "x", "revision": {"code": {"digest": "x", "sizeBytes": "y"}}}',
            "invalid_spec",
            "revision.code.sizeBytes",
        ),
    ],
)
async def test_a_deployment_that_cannot_be_read_names_the_field(
    control: Control, body: bytes, code: str, named: str
) -> None:
    told = problem(await control("PUT", "/v1/functions/f", raw=body))
    assert told["code"] == code
    assert named in told["detail"]


async def test_a_huge_json_body_is_refused(control: Control) -> None:
    answer = await control("PUT", "/v1/functions/f", raw=b" " * (5 << 20))
    assert problem(answer)["code"] == "payload_too_large"


async def test_a_function_is_shown_with_its_revisions_replicas_and_load(control: Control) -> None:
    await control.ready(settings={"scaling": {"maxContainers": 3}})
    shown = await control.json("GET", "/v1/functions/f")
    assert shown["name"] == "f"
    assert shown["traffic"] == {"1": 100}
    assert shown["state"] == "ready"
    assert shown["settings"]["scaling"]["maxContainers"] == 3
    assert [one["number"] for one in shown["revisions"]] == [1]
    assert [one["state"] for one in shown["replicas"]] == ["ready"]
    assert (shown["inFlight"], shown["queued"], shown["counts"]["accepted"]) == (0, 0, 0)
    assert shown["url"].endswith("/function/f")
    assert "0 → 1" in shown["scaled"]["reason"]
    listed = await control.json("GET", "/v1/functions")
    assert [one["name"] for one in listed["functions"]] == ["f"]
    assert (await control.json("GET", "/v1/functions?namespace=other")) == {"functions": []}


async def test_unknown_names_are_404_with_a_hint(control: Control) -> None:
    await control.ready("score")
    told = problem(await control("GET", "/v1/functions/scor"))
    assert (told["status"], told["code"]) == (404, "function_not_found")
    assert "`score`" in told["detail"]
    told = problem(await control("GET", "/v1/functions/score/revisions/7"))
    assert (told["status"], told["code"]) == (404, "revision_not_found")
    assert problem(await control("GET", "/v1/functions/score/revisions/x"))["status"] == 400


async def test_rollback_traffic_and_scaling_take_effect_at_once(control: Control) -> None:
    await control.ready(id="1")
    await control.ready(id="2")
    back = await control.json("POST", "/v1/functions/f/rollback", {})
    assert (back["number"], back["isLive"]) == (1, True)
    await control.quiet()
    back = await control.json("POST", "/v1/functions/f/rollback", {"to": 2})
    assert back["number"] == 2
    await control.quiet()
    shared = await control.json("PUT", "/v1/functions/f/traffic", {"traffic": {"1": 30, "2": 70}})
    assert shared["traffic"] == {"1": 30, "2": 70}
    await control.quiet()
    scaled = await control.json("PATCH", "/v1/functions/f/scaling", {"minContainers": 1})
    assert (scaled["minContainers"], scaled["maxContainers"]) == (1, 10)
    assert scaled["settings"]["scaling"]["minContainers"] == 1
    await control.quiet()


@pytest.mark.parametrize(
    "body",
    [
        {"minContainers": 5, "maxContainers": 2},
        {"maxContainers": -1},
        {"maxContainers": "many"},
        {"colour": 1},
        {"targetInputs": 0},
    ],
)
async def test_scaling_that_cannot_be_is_refused(control: Control, body: Any) -> None:
    await control.ready()
    answer = await control("PATCH", "/v1/functions/f/scaling", body)
    assert problem(answer)["code"] == "invalid_spec"


@pytest.mark.parametrize("body", [{"1": -5}, {"99": 100}, {"x": 1}, {}, [1], {"traffic": 3}])
async def test_traffic_that_cannot_be_is_refused(control: Control, body: Any) -> None:
    await control.ready()
    answer = await control("PUT", "/v1/functions/f/traffic", body)
    assert answer.status in (404, 422)
    assert (await control.json("GET", "/v1/functions/f"))["traffic"] == {"1": 100}


async def test_a_deleted_function_is_gone_with_its_replicas(control: Control) -> None:
    await control.ready()
    assert await control.json("DELETE", "/v1/functions/f") == {"deleted": True}
    assert (await control("DELETE", "/v1/functions/f")).status == 404
    await until(lambda: not control.bench.service.fleet.all(), "no replicas")
    assert (await control.deploy())["revision"]["number"] == 1


async def test_an_invocation_is_shown_while_it_runs_and_after(control: Control) -> None:
    front = await control.bench.ready()
    front.on_call = lambda call: None
    calling = control.bench.calling(headers={"Faas-Invocation-Id": "mine"})
    await until(lambda: control.bench.service.calls.find("mine"), "running")
    (call,) = await control.bench.calls(1)
    shown = await control.json("GET", "/v1/invocations/mine")
    assert (shown["state"], shown["function"], shown["revision"]) == ("running", "f", 1)
    call.answer()
    await calling
    shown = await control.json("GET", "/v1/invocations/mine")
    assert (shown["state"], shown["outcome"]) == ("ended", "done")
    listed = await control.json("GET", "/v1/functions/f/invocations")
    assert [one["id"] for one in listed["invocations"]] == ["mine"]
    assert (await control("GET", "/v1/invocations/mine/result")).status == 501
    assert (await control("GET", "/v1/invocations/never/result")).status == 404
    assert await control.json("DELETE", "/v1/invocations/mine") == {
        "cancelled": False,
        "outcome": "done",
    }
    assert (await control("DELETE", "/v1/invocations/never")).status == 404


async def test_what_a_function_printed_is_read_and_followed(control: Control) -> None:
    await control.ready()
    service = control.bench.service
    entry = control.bench.entry()
    service.logs.append("r1", entry, 1, "a", b"one\ntwo\n")
    service.logs.append("r1", entry, 2, "b", b"three\n")
    answer = await control("GET", "/v1/functions/f/logs?tail=2")
    lines = [msgspec.json.decode(line) for line in answer.body.splitlines()]
    assert [(one["stream"], one["text"]) for one in lines] == [
        ("stdout", "two\n"),
        ("stderr", "three\n"),
    ]
    answer = await control("GET", "/v1/functions/f/logs?invocation=b")
    assert b"three" in answer.body
    assert b"one" not in answer.body


async def test_state_tells_from_where_events_go_on(control: Control) -> None:
    await control.ready()
    state = await control.json("GET", "/v1/state")
    assert [one["name"] for one in state["functions"]] == ["f"]
    assert len(state["replicas"]) == 1
    (revision,) = state["revisions"]
    assert (revision["function"], revision["number"], revision["state"]) == ("f", 1, "ready")
    origin = {"owner", "notebook", "cellId", "cellNumber", "sourceDigest", "session"}
    assert set(revision["origin"]) == origin
    assert state["provider"]
    assert state["version"]
    answer = await control("GET", f"/v1/events?since={state['seq'] + 1}")
    assert (answer.status, problem(answer)["code"]) == (410, "events_gone")
    answer = await control("GET", f"/v1/events?since=dead.{state['seq']}")
    assert answer.status == 410
    assert (await control("GET", "/v1/events?since=x")).status == 400


async def test_maps_and_unknown_paths_and_methods_are_problems(control: Control) -> None:
    assert problem(await control("POST", "/v1/maps"))["code"] == "not_implemented"
    assert problem(await control("GET", "/v1/maps/x"))["status"] == 501
    assert problem(await control("GET", "/v1/no-such-thing"))["status"] == 404
    assert problem(await control("POST", "/v1/functions"))["status"] == 405


async def test_a_token_for_calls_opens_nothing_here(control: Control) -> None:
    for path in ("/v1/functions", "/v1/state", "/openapi.json"):
        assert (await control("GET", path, token=call_token(TOKEN))).status == 403
        assert (await control("GET", path, token="wrong")).status == 401


async def test_the_openapi_document_has_a_schema_for_every_reference(control: Control) -> None:
    document = await control.json("GET", "/openapi.json")
    assert "/v1/functions/{name}" in document["paths"]
    text = msgspec.json.encode(document).decode()
    for name in set(part.split('"')[0] for part in text.split("#/components/schemas/")[1:]):
        assert name in document["components"]["schemas"]


async def test_a_defect_is_an_internal_error_without_its_trace(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(control.bench.service.views, "function", broken)
    await control.deploy()
    told = problem(await control("GET", "/v1/functions/f"))
    assert told["code"] == "internal"
    assert "secret" not in told["detail"]


async def test_a_full_disk_is_said_and_nothing_changes(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    await control.ready()

    async def full(_: Any) -> None:
        raise ProviderError("The database cannot be used: the disk is full. Nothing was changed.")

    monkeypatch.setattr(control.bench.service.store, "save", full)
    answer = await control("PATCH", "/v1/functions/f/scaling", {"minContainers": 1})
    assert (answer.status, problem(answer)["code"]) == (502, "provider_error")
    assert (await control.json("GET", "/v1/functions/f"))["settings"]["scaling"][
        "minContainers"
    ] == 0
