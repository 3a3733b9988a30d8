"""The side panel: what it shows while it happens, what is done in it, and that keys are enough."""

from __future__ import annotations

import re
import threading
import time

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.gateway import Gateway
from tests.ui.deploying import deploy_over_http
from tests.ui.screen import SLOW_MS, Screen

EVIL = "<img src=x onerror=\"document.title='evil'\">"


def greet(name: str = "you", times: int = 1) -> str:
    return f"Hello, {name}! " * times


def wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def fail(text: str) -> None:
    print(text)
    raise ValueError(text)


@pytest.fixture(autouse=True)
def without_functions(gateway: Gateway) -> None:
    """Each test begins with a gateway that has no function."""
    for function in gateway.request("GET", "/v1/functions").json()["functions"]:
        gateway.request("DELETE", f"/v1/functions/{function['name']}")


def functions(gateway: Gateway) -> list[str]:
    listed = gateway.request("GET", "/v1/functions").json()["functions"]
    return [function["name"] for function in listed]


def test_a_function_that_an_http_client_deploys_shows_up_and_goes(
    screen: Screen, gateway: Gateway
) -> None:
    screen.open("1 + 1")
    panel = screen.show_panel()
    expect(panel).to_contain_text("Nothing deployed yet")
    deploy_over_http(gateway, "greet", greet)
    expect(screen.row("greet")).to_contain_text("r1")
    expect(screen.page.locator(".faas-status")).to_contain_text("local · 1 function")
    gateway.request("DELETE", "/v1/functions/greet")
    expect(screen.row("greet")).to_have_count(0)


def test_dots_go_from_none_to_three_and_back(screen: Screen, gateway: Gateway) -> None:
    screen.open("1 + 1")
    screen.show_panel()
    deploy_over_http(gateway, "wait", wait, scaledown_window=1)
    dots = screen.row("wait").locator(".faas-dot")
    expect(screen.row("wait")).to_contain_text("asleep", timeout=SLOW_MS)
    calls = [threading.Thread(target=gateway.call, args=("wait", 2.5)) for _ in range(3)]
    for call in calls:
        call.start()
    expect(dots.filter(has_text="●")).to_have_count(3, timeout=SLOW_MS)
    expect(screen.row("wait").locator(".faas-side-load")).to_have_text("3")
    for call in calls:
        call.join()
    expect(screen.row("wait")).to_contain_text("asleep", timeout=SLOW_MS)
    expect(dots).to_have_count(0)


def test_the_filter_shows_what_has_the_text_in_its_name(screen: Screen, gateway: Gateway) -> None:
    screen.open("1 + 1")
    panel = screen.show_panel()
    deploy_over_http(gateway, "greet", greet)
    deploy_over_http(gateway, "wait", wait)
    expect(panel.locator(".faas-side-row")).to_have_count(2)
    panel.get_by_label("Filter functions").fill("GRE")
    expect(panel.locator(".faas-side-row")).to_have_count(1)
    panel.get_by_label("Filter functions").fill("nothing")
    expect(panel).to_contain_text("No function has “nothing” in its name.")


def test_deleting_asks_first(screen: Screen, gateway: Gateway) -> None:
    deploy_over_http(gateway, "greet", greet)
    screen.open("1 + 1")
    screen.show_panel()
    screen.row("greet").click()
    dialog = screen.page.locator(".jp-Dialog")
    screen.page.get_by_role("button", name="Delete…").click()
    expect(dialog).to_contain_text("Delete greet?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert functions(gateway) == ["greet"]
    screen.page.get_by_role("button", name="Delete…").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(screen.row("greet")).to_have_count(0)
    assert functions(gateway) == []


def test_a_function_is_called_by_a_form_made_from_its_signature(
    screen: Screen, gateway: Gateway
) -> None:
    deploy_over_http(gateway, "greet", greet)
    screen.open("1 + 1")
    panel = screen.show_panel()
    screen.row("greet").click()
    panel.get_by_role("button", name="Call", exact=True).click()
    panel.get_by_label("times int").fill("many")
    panel.locator(".faas-primary").click()
    expect(panel).to_contain_text("A whole number is expected, like 12.")
    panel.get_by_label("times int").fill("2")
    panel.get_by_label("name str").fill("Ada")
    panel.locator(".faas-primary").click()
    expect(panel.locator(".faas-result pre")).to_have_text("Hello, Ada! Hello, Ada!")
    expect(panel.locator(".faas-result")).to_contain_text("✓ done")


def test_a_call_from_the_form_can_be_cancelled(screen: Screen, gateway: Gateway) -> None:
    deploy_over_http(gateway, "wait", wait)
    screen.open("1 + 1")
    panel = screen.show_panel()
    screen.row("wait").click()
    panel.get_by_role("button", name="Call", exact=True).click()
    panel.get_by_label("seconds float").fill("30")
    panel.get_by_label("seconds float").press("Enter")
    expect(screen.row("wait").locator(".faas-side-load")).to_have_text("1", timeout=SLOW_MS)
    panel.get_by_role("button", name="Cancel").click()
    expect(panel.locator(".faas-result")).to_contain_text("cancelled")
    expect(screen.row("wait").locator(".faas-side-load")).not_to_have_text("1")


def test_details_open_in_a_tab_and_come_back_after_a_reload(
    screen: Screen, gateway: Gateway
) -> None:
    deploy_over_http(gateway, "greet", greet)
    screen.open("1 + 1")
    screen.show_panel()
    screen.row("greet").click()
    screen.page.get_by_role("button", name="Open", exact=True).click()
    details = screen.page.get_by_label("function greet")
    expect(details).to_be_visible()
    expect(screen.page.locator(".lm-TabBar-tab", has_text="greet")).to_be_visible()
    expect(details).to_contain_text("revision 1 · 100 %")


def test_a_cell_that_looks_a_function_up_is_inserted_and_runs(
    screen: Screen, gateway: Gateway
) -> None:
    deploy_over_http(gateway, "greet", greet)
    screen.open("1 + 1")
    screen.show_panel()
    screen.row("greet").click()
    screen.page.get_by_role("button", name="Insert cell").click()
    expect(screen.cell(1)).to_contain_text('greet = faas.function("greet")')
    expect(screen.cell(1)).to_contain_text("# greet.remote(name: ")
    screen.rewrite(1, 'import jupyter_faas as faas\nfaas.function("greet").remote("Bo")')
    expect(screen.run(1)).to_contain_text("Hello, Bo!")


def test_keys_alone_are_enough(screen: Screen, gateway: Gateway) -> None:
    """Open the panel, go down the list, open one, call it, leave: no mouse."""
    deploy_over_http(gateway, "greet", greet)
    deploy_over_http(gateway, "wait", wait)
    screen.open("1 + 1")
    keyboard = screen.page.keyboard
    keyboard.press("Control+Alt+F")
    expect(screen.row("greet")).to_be_focused()
    keyboard.press("ArrowDown")
    expect(screen.row("wait")).to_be_focused()
    keyboard.press("ArrowUp")
    assert screen.focused().startswith("greet, ")
    expect(screen.row("greet")).to_have_attribute("aria-expanded", "false")
    keyboard.press("Enter")
    expect(screen.row("greet")).to_have_attribute("aria-expanded", "true")
    keyboard.press("Tab")
    assert screen.focused() == "Open"
    keyboard.press("Tab")
    assert screen.focused() == "Call"
    keyboard.press("Enter")
    field = screen.page.get_by_label("name str")
    expect(field).to_be_visible()
    while screen.focused() != "Delete…":
        keyboard.press("Tab")
    keyboard.press("Tab")
    expect(field).to_be_focused()
    keyboard.press("Control+A")
    keyboard.type("Ada")
    keyboard.press("Enter")
    expect(screen.page.locator(".faas-result pre")).to_have_text("Hello, Ada!")
    keyboard.press("Escape")
    expect(field).to_have_count(0)
    assert screen.focused() == "Call"
    keyboard.press("Escape")
    expect(screen.row("greet")).to_be_focused()
    expect(screen.row("greet")).to_have_attribute("aria-expanded", "false")
    keyboard.press("Escape")
    expect(screen.cell(0)).to_have_class(re.compile("jp-mod-active"))
    assert not screen.page.evaluate("() => !!document.activeElement.closest('.faas-side')")


def test_a_listener_hears_state_load_and_revision_of_each_function(
    screen: Screen, gateway: Gateway
) -> None:
    deploy_over_http(gateway, "wait", wait)
    screen.open("1 + 1")
    screen.show_panel()
    call = threading.Thread(target=gateway.call, args=("wait", 2))
    call.start()
    heard = re.compile(r"^wait, 1 replica: 1 busy, 1 in flight, revision 1$")
    expect(screen.row("wait")).to_have_attribute("aria-label", heard, timeout=SLOW_MS)
    call.join()


def test_what_a_function_prints_raises_and_is_called_stays_text(
    screen: Screen, gateway: Gateway, page: Page
) -> None:
    deploy_over_http(gateway, "fail", fail)
    screen.open("1 + 1")
    panel = screen.show_panel()
    screen.row("fail").click()
    panel.get_by_role("button", name="Call", exact=True).click()
    panel.get_by_label("text str").fill(EVIL)
    panel.get_by_label("text str").press("Enter")
    expect(panel.locator(".faas-result")).to_contain_text(EVIL)
    panel.get_by_role("button", name="Logs").click()
    expect(panel.locator(".faas-log")).to_contain_text(EVIL, timeout=SLOW_MS)
    panel.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_label("function fail")).to_contain_text(EVIL)
    assert page.locator(".faas-panel img, .faas-side img").count() == 0
    assert page.title() != "evil"


def test_a_gateway_that_is_killed_and_started_again_is_live_again(
    screen: Screen, gateway: Gateway
) -> None:
    deploy_over_http(gateway, "greet", greet)
    screen.open("1 + 1")
    panel = screen.show_panel()
    expect(panel).to_contain_text("⟳ live · local gateway")
    gateway.kill()
    expect(panel).to_contain_text(re.compile("reconnecting|asleep"), timeout=SLOW_MS)
    expect(screen.row("greet")).to_be_visible()
    gateway.start()
    expect(panel).to_contain_text("⟳ live · local gateway", timeout=SLOW_MS)
    assert gateway.call("greet").status == 200
    expect(screen.row("greet").locator(".faas-dot")).to_have_count(1)
