"""Whatever comes from a function, a notebook or a person is text, wherever it is shown."""

from __future__ import annotations

from nbconvert import HTMLExporter
from playwright.sync_api import Page, expect

from tests.e2e.gateway import Gateway
from tests.ui.screen import SLOW_MS, Screen

EVIL = "<img src=x onerror=\"document.title='evil'\"><script>document.title='evil'</script>"
DEFINE = f"""from jupyter_faas import serverless
EVIL = {EVIL!r}

@serverless(name="evil", env={{"NOTE": EVIL}})
def evil(text: str = EVIL):
    print(text)
    if text:
        raise ValueError(text)
    return EVIL"""
MIME = f"""from IPython.display import display
panel = {{"version": 1, "function": {EVIL!r}, "namespace": {EVIL!r}}}
mime = "application/vnd.jupyter-faas.panel+json"
display({{mime: panel, "text/plain": {EVIL!r}}}, raw=True)"""


def is_only_text(page: Page) -> None:
    """Nothing of it has become an element, and nothing of it has run."""
    assert page.locator("img[src='x']").count() == 0
    assert page.title() != "evil"


def test_evil_text_stays_text_in_card_panel_side_and_export(
    screen: Screen, gateway: Gateway
) -> None:
    screen.open("%load_ext jupyter_faas", DEFINE, "evil.remote(EVIL)", "evil.panel()", MIME)
    screen.run(0)
    screen.run(1)
    expect(screen.run(2)).to_contain_text(f"ValueError: {EVIL}")
    panel = screen.run(3).locator(".faas-panel")
    expect(panel.locator(".faas-log-lines")).to_contain_text(EVIL)
    expect(panel.locator(".faas-calls")).to_contain_text(EVIL)
    panel.get_by_role("button", name="traceback").click()
    expect(panel.locator(".faas-traceback")).to_contain_text(EVIL)
    expect(screen.run(4).get_by_role("heading")).to_have_text(EVIL)
    side = screen.show_panel()
    screen.row("evil").click()
    side.get_by_role("button", name="Call", exact=True).click()
    expect(side.locator(".faas-signature")).to_contain_text("<img src=x")
    side.get_by_label("text str").fill("")
    side.get_by_label("text str").press("Enter")
    expect(side.locator(".faas-result pre")).to_contain_text(EVIL, timeout=SLOW_MS)
    side.get_by_label("text str").fill(EVIL)
    side.get_by_label("text str").press("Enter")
    expect(side.locator(".faas-result")).to_contain_text(f"ValueError: {EVIL}")
    side.get_by_role("button", name="Logs").click()
    expect(side.locator(".faas-log-lines")).to_contain_text(EVIL)
    is_only_text(screen.page)
    saved = screen.save()
    assert gateway.token not in saved
    exported, _ = HTMLExporter().from_filename(str(screen.lab.notebooks / screen.name))
    page = screen.page
    page.route("**/*", lambda route: route.abort())  # what an export loads from elsewhere
    page.set_content(exported, wait_until="domcontentloaded")
    expect(page.get_by_text("as of 20")).not_to_have_count(0)
    expect(page.locator("body")).to_contain_text(EVIL)
    is_only_text(page)


def test_an_evil_name_is_refused_and_told_as_text(screen: Screen, gateway: Gateway) -> None:
    source = f"@serverless(name={EVIL!r})\ndef f(): return 1\nf.remote()"
    screen.open(f"from jupyter_faas import serverless\n{source}")
    expect(screen.run(0)).to_contain_text("<img src=x")
    quoted = "%3Cimg%20src=x%20onerror=%22document.title=1%22%3E"
    assert gateway.request("PUT", f"/v1/functions/{quoted}", {}).status in (400, 404, 422)
    is_only_text(screen.page)
