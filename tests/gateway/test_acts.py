"""What a request does in the words of RBAC; nothing the control API answers is missing."""

from __future__ import annotations

import pytest
from starlette.routing import Route

from jupyter_faas.core.errors import BadRequest
from jupyter_faas.gateway.acts import NOTHING, Act, act_of
from jupyter_faas.gateway.control.app import make_app

CALL = Act("create", "own", "invoke")


def act(method: str, path: str, query: str = "") -> Act | None:
    known = {("own", "known"), ("other", "known")}
    target = (path.encode(), query.encode())
    return act_of(method.encode(), target, "own", lambda *place: place in known)


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /v1/functions", Act("list", "own")),
        ("PUT /v1/functions/new", Act("create", "own")),
        ("PUT /v1/functions/known", Act("update", "own")),
        ("GET /v1/functions/f", Act("get", "own")),
        ("DELETE /v1/functions/f", Act("delete", "own")),
        ("GET /v1/functions/f/revisions", Act("get", "own")),
        ("GET /v1/functions/f/revisions/3", Act("get", "own")),
        ("GET /v1/functions/f/replicas", Act("get", "own")),
        ("GET /v1/functions/f/logs", Act("get", "own")),
        ("GET /v1/functions/f/invocations", Act("get", "own")),
        ("POST /v1/functions/f/rollback", Act("update", "own")),
        ("PUT /v1/functions/f/traffic", Act("update", "own")),
        ("PATCH /v1/functions/f/scaling", Act("update", "own")),
        ("PUT /v1/blobs/abc", Act("create", "own")),
        ("GET /v1/blobs/abc", Act("get", "own")),
        ("HEAD /v1/blobs/abc", Act("get", "own")),
        ("GET /v1/invocations/i", Act("get", "own")),
        ("GET /v1/invocations/i/logs", Act("get", "own")),
        ("GET /v1/invocations/i/result", Act("get", "own")),
        ("DELETE /v1/invocations/i", CALL._replace(is_of_others=True)),
        ("GET /v1/state", Act("list", "own")),
        ("GET /v1/events", Act("list", "own")),
        ("GET /v1/inventory", Act("get", "own")),
        ("POST /v1/maps", CALL),
        ("GET /v1/maps/m/results", CALL._replace(is_of_others=True)),
        ("GET /v1/maps", CALL._replace(is_of_others=True)),
        ("DELETE /v1/maps/m", CALL._replace(is_of_others=True)),
        ("POST /async-function/f", CALL),
        ("POST /async-function/other/f", Act("create", "other", "invoke")),
        ("GET /openapi.json", NOTHING),
        ("GET /metrics", Act("get", path="/metrics")),
        ("POST /metrics", None),
        ("POST /v1/functions", None),
        ("DELETE /v1/functions/f/traffic", None),
        ("GET /v1/functions/f/secrets", None),
        ("GET /v2/functions", None),
        ("GET /", None),
    ],
)
def test_a_request_does_what_the_table_says(request_line, expected):
    assert act(*request_line.split(" ")) == expected


def test_the_namespace_is_the_one_that_the_control_api_will_read():
    assert act("GET", "/v1/functions", "namespace=other") == Act("list", "other")
    assert act("GET", "/v1/functions", "namespace=") == Act("list", "own")
    assert act("GET", "/v1/functions", "n%61mespace=oth%65r&x=1") == Act("list", "other")
    assert act("PUT", "/v1/functions/new", "namespace=other") == Act("create", "other")
    assert act("PUT", "/v1/functions/known", "namespace=other") == Act("update", "other")
    with pytest.raises(BadRequest):
        act("GET", "/v1/functions", "namespace=own&namespace=other")


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        # The application sees the decoded path: what it takes for another route is another act.
        ("/v1/functions/f%2frollback", Act("update", "own")),
        ("/v1/functions/f/%72ollback", Act("update", "own")),
        ("/v1/functions/f/rollback/", None),
        ("/v1//functions/f/rollback", None),
        ("/v1/functions/f/rollback%0a", None),
    ],
)
def test_no_spelling_of_a_path_is_judged_as_another_one(sent, expected):
    assert act("POST", sent) == expected


def test_every_route_of_the_control_api_has_a_rule():
    class Parts:
        blobs = events = None

    paths = [
        (method, route.path)
        for route in make_app(Parts()).routes  # type: ignore[attr-defined]  # a Starlette
        if isinstance(route, Route)
        for method in route.methods or ()
    ]
    assert len(paths) > 20
    for method, path in paths:
        filled = path.replace("{rest:path}", "a/b").replace("{", "").replace("}", "")
        assert act(method, filled) is not None, (method, path)
