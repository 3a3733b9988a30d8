"""The side panel: what it shows while it happens, what is done in it, and that keys are enough."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.gateway import Gateway, wait_until
from tests.ui.conftest import MOST_REPLICAS
from tests.ui.deploying import deploy_over_http
from tests.ui.screen import SLOW_MS, Screen


def greet(name: str = "you", times: int = 1) -> str:
    return f"Hello, {name}! " * times


def wait(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def tell(lines: int, until: str = "") -> int:
    """Print lines; run on until there is a file."""
    for number in range(lines):
        print("line", number)
        time.sleep(0.05)
    while until and not os.path.exists(until):
        time.sleep(0.05)
    return lines


def functions(gateway: Gateway) -> list[str]:
    listed = gateway.request("GET", "/v1/functions").json()["functions"]
    return [function["name"] for function in listed]


def test_a_function_that_an_http_client_deploys_shows_up_and_goes(
    screen: Screen, gateway: Gateway
) -> None:
    panel = screen.open_lab()
    expect(panel).to_contain_text("Nothing deployed yet")
    deploy_over_http(gateway, "greet", greet)
    deploy_over_http(gateway, "wait", wait)
    expect(screen.row("greet")).to_contain_text("r1")
    expect(screen.page.locator(".faas-status")).to_contain_text("local · 2 functions")
    rows = panel.locator(".faas-side-row")
    panel.get_by_label("Filter functions").fill("GRE")
    expect(rows).to_have_count(1)
    panel.get_by_label("Filter functions").fill("nothing")
    expect(panel).to_contain_text("No function has “nothing” in its name.")
    panel.get_by_label("Filter functions").fill("")
    expect(rows).to_have_count(2)
    gateway.request("DELETE", "/v1/functions/greet")
    expect(screen.row("greet")).to_have_count(0)


def test_what_waits_says_why(screen: Screen, gateway: Gateway) -> None:
    screen.open_lab()
    deploy_over_http(gateway, "greet", greet, min_containers=MOST_REPLICAS)
    dots = screen.row("greet").locator(".faas-dot")
    expect(dots.filter(has_text="○")).to_have_count(MOST_REPLICAS, timeout=SLOW_MS)
    deploy = threading.Thread(target=deploy_over_http, args=(gateway, "wait", wait))
    deploy.start()
    expect(screen.row("wait")).to_contain_text("◌ starting")
    screen.row("wait").click()
    opened = screen.page.locator(".faas-side-open")
    expect(opened).to_contain_text(
        f"no room for 1 more: {MOST_REPLICAS} replicas run in all, as many as FAAS_MAX_REPLICAS"
    )
    gateway.request("PATCH", "/v1/functions/greet/scaling", {"minContainers": 0})
    expect(screen.row("wait").locator(".faas-dot")).to_have_text("○", timeout=SLOW_MS)
    expect(opened).not_to_contain_text("no room")
    deploy.join()


def test_a_log_is_followed_and_shown_of_one_call(
    screen: Screen, gateway: Gateway, tmp_path: Path
) -> None:
    deploy_over_http(gateway, "tell", tell)
    assert gateway.call("tell", 1).status == 200
    panel = screen.open_lab()
    screen.row("tell").click()
    panel.get_by_role("button", name="Logs").click()
    lines = panel.locator(".faas-log-line")
    expect(lines).to_have_count(1)
    may_end = tmp_path / "may end"
    call = threading.Thread(
        target=gateway.call, args=("tell", [10, str(may_end)]), kwargs={"timeout_s": 120.0}
    )
    call.start()
    # Lines are shown when they are printed: the call does not end before they have been seen.
    expect(lines).to_have_count(11, timeout=SLOW_MS)
    expect(lines.last).to_be_in_viewport()
    may_end.touch()
    call.join()
    choice = panel.get_by_label("calls whose log is shown")
    choice.select_option(index=2)
    expect(lines).to_have_count(1)
    choice.select_option(index=0)
    expect(lines).to_have_count(11)


def test_a_function_is_called_by_a_form_made_from_its_signature(
    screen: Screen, gateway: Gateway
) -> None:
    deploy_over_http(gateway, "greet", greet)
    deploy_over_http(gateway, "wait", wait)
    panel = screen.open_lab()
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
    screen.row("greet").click()
    screen.row("wait").click()
    panel.get_by_role("button", name="Call", exact=True).click()
    panel.get_by_label("seconds float").fill("30")
    panel.get_by_label("seconds float").press("Enter")
    heard = re.compile(r"^wait, 1 replica: 1 busy, 1 in flight, revision 1$")
    expect(screen.row("wait")).to_have_attribute("aria-label", heard, timeout=SLOW_MS)
    panel.get_by_role("button", name="Cancel").click()
    expect(panel.locator(".faas-result")).to_contain_text("cancelled")
    expect(screen.row("wait").locator(".faas-side-load")).not_to_have_text("1 ⇡")


def test_details_open_in_a_tab_come_back_after_a_reload_and_deleting_asks_first(
    screen: Screen, gateway: Gateway
) -> None:
    deploy_over_http(gateway, "greet", greet)
    panel = screen.open_lab()
    screen.row("greet").click()
    panel.get_by_role("button", name="Open", exact=True).click()
    details = screen.page.get_by_label("function greet")
    expect(details).to_contain_text("revision 1 · 100 %")
    details.get_by_role("button", name="more for greet").click()
    deleting = details.get_by_role("menuitem").filter(has_text=re.compile("delete", re.IGNORECASE))
    expect(deleting).to_have_count(1)
    wait_until(lambda: "jupyter-faas:greet" in screen.lab.layout(), 20.0)
    screen.reload()
    expect(screen.page.locator(".lm-TabBar-tab", has_text="greet")).to_be_visible(timeout=SLOW_MS)
    expect(details).to_contain_text("revision 1 · 100 %")
    screen.row("greet").click()
    dialog = screen.page.locator(".jp-Dialog")
    panel.get_by_role("button", name="Delete…").click()
    expect(dialog).to_contain_text("Delete greet?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert functions(gateway) == ["greet"]
    panel.get_by_role("button", name="Delete…").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(screen.row("greet")).to_have_count(0)
    expect(details).to_contain_text("greet is not deployed here")
    assert functions(gateway) == []


def test_a_cell_that_looks_a_function_up_is_inserted_and_runs(
    screen: Screen, gateway: Gateway
) -> None:
    deploy_over_http(gateway, "greet", greet)
    screen.open("1 + 1")
    panel = screen.show_panel()
    screen.row("greet").click()
    panel.get_by_role("button", name="Insert cell").click()
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
    expect(screen.row("greet")).to_be_focused()
    expect(screen.row("greet")).to_have_attribute("aria-expanded", "false")
    keyboard.press("Enter")
    expect(screen.row("greet")).to_have_attribute("aria-expanded", "true")
    keyboard.press("Tab")
    screen.expect_focus("Open")
    keyboard.press("Tab")
    screen.expect_focus("Call")
    keyboard.press("Enter")
    field = screen.page.get_by_label("name str")
    expect(field).to_be_visible()
    for button in ("Logs", "Scale", "Revisions", "Insert cell", "Delete…"):
        keyboard.press("Tab")
        screen.expect_focus(button)
    keyboard.press("Tab")
    expect(field).to_be_focused()
    keyboard.press("Control+A")
    keyboard.type("Ada")
    keyboard.press("Enter")
    expect(screen.page.locator(".faas-result pre")).to_have_text("Hello, Ada!")
    keyboard.press("Escape")
    expect(field).to_have_count(0)
    screen.expect_focus("Call")
    keyboard.press("Escape")
    expect(screen.row("greet")).to_be_focused()
    expect(screen.row("greet")).to_have_attribute("aria-expanded", "false")
    keyboard.press("Escape")
    expect(screen.cell(0)).to_have_class(re.compile("jp-mod-active"))
    screen.page.wait_for_function("() => !document.activeElement.closest('.faas-side')")
