"""What a page says and does while its gateway, or its network, is away, and that it comes back."""

from __future__ import annotations

import re

from playwright.sync_api import WebSocketRoute, expect

from tests.e2e.gateway import Gateway
from tests.ui.deploying import deploy_over_http
from tests.ui.screen import SLOW_MS, Screen

LIVE = "⟳ live · local gateway"


def greet(name: str = "you") -> str:
    return f"Hello, {name}!"


def test_a_gateway_that_is_killed_and_started_again_is_live_again(
    screen: Screen, gateway: Gateway
) -> None:
    deploy_over_http(gateway, "greet", greet)
    screen.open("import jupyter_faas as faas\nfaas.function('greet').panel()")
    side = screen.show_panel()
    panel = screen.run(0).locator(".faas-panel")
    expect(panel).to_contain_text("revision 1 · 100 %")
    expect(side).to_contain_text(LIVE)
    gateway.kill()
    for shown in (side, panel):
        expect(shown).to_contain_text("◌ reconnecting", timeout=SLOW_MS)
    expect(panel).to_contain_text("revision 1 · 100 %")
    gateway.start()
    for shown in (side, panel):
        expect(shown).not_to_contain_text("◌ reconnecting", timeout=SLOW_MS)
    expect(side).to_contain_text(LIVE)
    assert gateway.call("greet").status == 200
    expect(screen.row("greet").locator(".faas-dot")).to_have_count(1)
    expect(panel.locator(".faas-dot")).to_have_count(1)


def test_a_page_that_changes_its_network_is_live_again(screen: Screen, gateway: Gateway) -> None:
    """The old connection says nothing of its end: it just falls silent."""
    sockets: list[WebSocketRoute] = []
    silent: list[WebSocketRoute] = []

    def connect(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        sockets.append(socket)
        socket.on_message(lambda text: None if socket in silent else server.send(text))
        server.on_message(lambda text: None if socket in silent else socket.send(text))

    screen.page.route_web_socket(re.compile("/jupyter-faas/api/events"), connect)
    side = screen.open_lab()
    expect(side).to_contain_text(LIVE)
    silent += sockets
    deploy_over_http(gateway, "greet", greet)
    screen.page.context.set_offline(True)
    screen.page.context.set_offline(False)
    expect(screen.row("greet")).to_be_visible(timeout=SLOW_MS)
    expect(side).to_contain_text(LIVE)
    assert len(sockets) > len(silent)


def test_what_a_page_reads_is_read_again_when_the_network_cut_it(
    screen: Screen, gateway: Gateway
) -> None:
    deploy_over_http(gateway, "greet", greet)
    side = screen.open_lab()
    screen.page.route(
        re.compile("/jupyter-faas/api/v1/"),
        lambda route: route.abort("addressunreachable"),
        times=1,
    )
    screen.row("greet").click()
    side.get_by_role("button", name="Call", exact=True).click()
    expect(side.locator(".faas-signature")).to_contain_text("greet(name: ")
