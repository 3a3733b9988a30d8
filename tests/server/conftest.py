"""A Jupyter server with the extension in the test's own loop, and a real gateway beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp
from pytest_jupyter.jupyter_core import (  # noqa: F401 - fixtures; the plugin's hooks stay out
    echo_kernel_spec,
    jp_config_dir,
    jp_data_dir,
    jp_env_config_path,
    jp_env_jupyter_path,
    jp_environ,
    jp_home_dir,
    jp_kernel_dir,
    jp_runtime_dir,
    jp_system_config_path,
    jp_system_jupyter_path,
)
from pytest_jupyter.jupyter_server import (  # noqa: F401 - as above
    jp_argv,
    jp_auth_header,
    jp_base_url,
    jp_configurable_serverapp,
    jp_create_notebook,
    jp_fetch,
    jp_http_port,
    jp_logging_stream,
    jp_nbconvert_templates,
    jp_root_dir,
    jp_server_config,
    jp_serverapp,
    jp_web_app,
    jp_ws_fetch,
)
from pytest_jupyter.pytest_tornasync import (  # noqa: F401 - as above
    http_server,
    http_server_client,
    http_server_port,
)

from jupyter_faas.client.session import session
from jupyter_faas.server.hub import Hub
from tests.e2e.gateway import Gateway
from tests.server.watching import Watcher
from tests.support import state_dir, wait_for_cards, wait_until

API = "jupyter-faas/api"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and "jp_serverapp" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture
async def jp_asyncio_loop() -> asyncio.AbstractEventLoop:
    """The loop of the test: one for the server and who asks it."""
    return asyncio.get_running_loop()


@pytest.fixture
def jp_server_config() -> dict[str, Any]:  # noqa: F811 - the plugin's, with the extension
    return {"ServerApp": {"jpserver_extensions": {"jupyter_faas.server": True}}}


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch, jp_environ: None) -> Iterator[Gateway]:  # noqa: F811
    """The embedded gateway of this test; not started yet."""
    for name in [name for name in os.environ if name.startswith("FAAS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(session, "gateway", None)
    monkeypatch.setattr(session, "deployed", {})
    with state_dir() as path:
        monkeypatch.setenv("FAAS_STATE_DIR", str(path))
        monkeypatch.setenv("FAAS_CONFIG", str(path / "faas.toml"))
        monkeypatch.setenv("FAAS_PRELOAD", "none")
        running = Gateway(path)
        yield running
        wait_for_cards()
        if session.gateway is not None:
            session.gateway.close()
        if (path / "gateway.json").exists():
            assert running.stop() == []


@pytest.fixture
def server(gateway: Gateway, jp_serverapp: ServerApp, http_server: Any, jp_asyncio_loop: Any):  # noqa: F811
    """The Jupyter server with the extension, ended with it."""
    yield jp_serverapp
    jp_asyncio_loop.run_until_complete(jp_serverapp._cleanup())
    ServerApp.clear_instance()


@pytest.fixture
def hub(server: ServerApp) -> Hub:
    found = server.web_app.settings["jupyter_faas"]
    assert isinstance(found, Hub)
    return found


@pytest.fixture
async def watch(server: ServerApp, jp_ws_fetch: Any) -> AsyncIterator[Callable[..., Any]]:  # noqa: F811
    """Give a function that opens a page's WebSocket."""
    opened: list[Watcher] = []

    async def open_one(**options: Any) -> Watcher:
        opened.append(Watcher(await jp_ws_fetch(API, "events", **options)))
        return opened[-1]

    yield open_one
    for one in opened:
        with contextlib.suppress(AssertionError):
            await one.close()


@pytest.fixture
def ask(server: ServerApp, jp_fetch: Any) -> Callable[..., Awaitable[Any]]:  # noqa: F811
    """Give a function that asks a route of the extension; refusals are answers too."""

    async def fetch(method: str, path: str, body: Any = None, **options: Any) -> Any:
        import json

        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return await jp_fetch(
            API,
            *path.split("/"),
            method=method,
            body=body,
            allow_nonstandard_methods=True,
            raise_error=False,
            request_timeout=60,
            **options,
        )

    return fetch


async def ended(pid: int) -> None:
    """Wait until a gateway is gone with its last thread, which has held its connections till then.

    It is a child of this process, which waits for it.
    """
    gone = Path(f"/proc/{pid}")
    await asyncio.to_thread(wait_until, lambda: not gone.exists(), 20.0)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
