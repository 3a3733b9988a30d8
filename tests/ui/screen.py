"""What a person does in a page of JupyterLab: opens a notebook, runs cells, looks at the panel."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.support import wait_until
from tests.ui.lab import Lab

NUMBERED = re.compile(r"^\[\d+\]:$")
_IS_IDLE = """() => {
  const notebook = window.jupyterapp?.shell.currentWidget;
  return notebook?.context?.isReady && notebook.sessionContext.session?.kernel?.status === 'idle';
}"""
_NOTE_RESTART = """() => {
  window.hasRestarted = false;
  const note = (_, status) => { if (status === 'restarting') window.hasRestarted = true; };
  window.jupyterapp.shell.currentWidget.sessionContext.statusChanged.connect(note);
}"""
SLOW_MS = 60_000
"""Kernels and replicas start: on a busy machine that takes a while."""


class Screen:
    """A page with a notebook of its own.

    Args:
        page: An empty page.
        lab: The server it is opened from.
    """

    def __init__(self, page: Page, lab: Lab, name: str) -> None:
        self.page = page
        self.lab = lab
        self.name = name
        # On a machine that is busy with other things a listing may take too long.
        lost = page.locator(".jp-Dialog", has_text="Server Connection Error")
        page.add_locator_handler(lost, _close)

    def open_lab(self) -> Locator:
        """Open JupyterLab without a notebook; return the side panel."""
        self.page.goto(self.lab.url("lab"))
        return self.show_panel()

    def open(self, *cells: str, app: str = "lab/tree") -> None:
        """Open a new notebook with these cells and wait until its kernel is idle."""
        self.lab.write(self.name, cells)
        self.page.goto(self.lab.url(f"{app}/{self.name}"))
        self.wait_ready()

    def reload(self) -> None:
        """Load the page anew."""
        # What is open is forgotten by `?reset`, which JupyterLab leaves in the address.
        self.page.goto(self.page.url.split("?")[0])

    def reload_notebook(self) -> None:
        """Load the page anew and wait until its kernel is idle."""
        self.reload()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the notebook is shown and its kernel is idle."""
        expect(self.cell(0)).to_be_visible(timeout=SLOW_MS)
        self.page.wait_for_function(_IS_IDLE, timeout=SLOW_MS)

    def restart_kernel(self) -> None:
        """Restart the kernel, by the keys for it."""
        self.page.evaluate(_NOTE_RESTART)
        self.cell(0).locator(".jp-InputPrompt").click()
        self.page.keyboard.type("00")
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.wait_for_function("() => window.hasRestarted", timeout=SLOW_MS)
        self.page.wait_for_function(_IS_IDLE, timeout=SLOW_MS)

    def cell(self, index: int) -> Locator:
        """Return a code cell."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").nth(index)

    def output(self, index: int) -> Locator:
        """Return what is shown under a cell."""
        return self.cell(index).locator(".jp-OutputArea")

    def panel(self, index: int) -> Locator:
        """Return the panel that is shown under a cell."""
        return self.output(index).locator(".faas-panel")

    def start(self, index: int) -> None:
        """Run a cell; do not wait for it."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")

    def run(self, index: int) -> Locator:
        """Run a cell to its end; return its output."""
        prompt = self.cell(index).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        self.start(index)
        expect(prompt).not_to_have_text(before or "[ ]:", timeout=SLOW_MS)
        expect(prompt).to_have_text(NUMBERED, timeout=SLOW_MS)
        return self.output(index)

    def rewrite(self, index: int, source: str) -> None:
        """Replace the text of a cell, as by typing."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(source)

    def save(self) -> str:
        """Save the notebook; return the file's text."""
        with self.page.expect_response(
            lambda answer: answer.request.method == "PUT" and "/api/contents/" in answer.url
        ):
            self.page.keyboard.press("Control+S")
        return (self.lab.notebooks / self.name).read_text()

    def mark(self, index: int) -> Locator:
        """Return the mark at a cell's prompt."""
        return self.cell(index).locator(".faas-mark")

    def show_panel(self) -> Locator:
        """Show the side panel; return it."""
        panel = self.page.locator("#jupyter-faas-functions")
        if not panel.is_visible():
            self.page.locator('[data-id="jupyter-faas-functions"]').first.click()
        expect(panel).to_be_visible()
        return panel

    def row(self, function: str) -> Locator:
        """Return the line of a function in the side panel."""
        return self.page.locator(f'.faas-side-row[data-key$="/{function}"]')

    def expect_focus(self, said: str) -> None:
        """Wait until what has the focus is called so."""
        wait_until(lambda: self._focused() == said, what=f"{said} has it", seen=self._focused)

    def _focused(self) -> str:
        """Return what has the focus, for people: its label or text."""
        return str(
            self.page.evaluate(
                "() => { const one = document.activeElement;"
                " return one?.getAttribute('aria-label') || one?.textContent || one?.tagName }"
            )
        ).strip()


def _close(dialog: Locator) -> None:
    dialog.get_by_role("button", name="Close").click()
