"""From the moment a replica changes to the pixels that say so."""

from __future__ import annotations

import math
import statistics
import threading
import time
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.gateway import Gateway
from tests.ui.deploying import deploy_over_http
from tests.ui.screen import SLOW_MS, Screen

FUNCTIONS = ("first", "second")
CALLS = 12
P50_MS, P95_MS = 150, 400
"""Wanted. What is measured is told; the test fails where it is more than `SLACK` times as much."""
SLACK = 8.0
"""Two cores run Jupyter, the gateway, Chromium and what measures coverage of them. Who asked every
few seconds instead of being told would take longer still."""
ROUNDS = 3
"""The best one counts: whatever else the machine does in one of them is not what is measured."""

WATCH = """() => {
  window.seen = [];
  const last = new Map();
  const look = () => requestAnimationFrame(() => {
    // The frame that showed the change has been drawn: this is the one after it.
    const at = (performance.timeOrigin + performance.now()) / 1000;
    for (const row of document.querySelectorAll('.faas-side-row')) {
      const name = row.querySelector('.faas-side-name').textContent;
      const isBusy = row.querySelector('.faas-dot.faas-busy') !== null;
      if (last.get(name) !== isBusy) window.seen.push({ name, isBusy, at });
      last.set(name, isBusy);
    }
  });
  const side = document.querySelector('.faas-side');
  const all = { subtree: true, childList: true, attributes: true, characterData: true };
  new MutationObserver(look).observe(side, all);
}"""


def hold(seconds: float) -> list[float]:
    began_s = time.time()
    time.sleep(seconds)
    return [began_s, time.time()]


def called(gateway: Gateway, name: str, pause_s: float) -> list[tuple[str, bool, float]]:
    """Call a function again and again; return when its replica was busy and idle."""
    changes = []
    for _ in range(CALLS):
        time.sleep(pause_s)  # not to wait for anything: each call begins at another moment
        began_s, ended_s = gateway.call(name, pause_s).json()
        changes += [(name, True, began_s), (name, False, ended_s)]
    return changes


def changed(gateway: Gateway) -> list[tuple[str, bool, float]]:
    """Call the functions side by side; return when their replicas were busy and idle."""
    changes: list[tuple[str, bool, float]] = []
    threads = [
        threading.Thread(target=lambda n=name, p=pause_s: changes.extend(called(gateway, n, p)))
        for name, pause_s in zip(FUNCTIONS, (0.53, 0.61), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return changes


def measured(screen: Screen, gateway: Gateway) -> tuple[float, float]:
    """Return p50 and p95 of the time until a change is seen, in ms; one never seen is infinite."""
    screen.page.evaluate("() => { window.seen.length = 0 }")
    changes = changed(gateway)
    for name in FUNCTIONS:
        expect(screen.row(name).locator(".faas-dot")).to_have_text("○")
    seen = screen.page.evaluate("() => window.seen")
    latencies_ms = []
    for name, is_busy, at_s in changes:
        shown = (one["at"] for one in seen if one["name"] == name and one["isBusy"] == is_busy)
        latencies_ms.append(1000 * (next((at for at in shown if at >= at_s), math.inf) - at_s))
    return statistics.median(latencies_ms), statistics.quantiles(latencies_ms, n=20)[-1]


def test_a_change_of_a_replica_is_seen_soon(
    screen: Screen, gateway: Gateway, record_property: Any
) -> None:
    for name in FUNCTIONS:
        deploy_over_http(gateway, name, hold, min_containers=1)
    screen.open_lab()
    for name in FUNCTIONS:
        expect(screen.row(name).locator(".faas-dot")).to_have_text("○", timeout=SLOW_MS)
    screen.page.evaluate(WATCH)
    told = []
    for _ in range(ROUNDS):
        p50, p95 = measured(screen, gateway)
        told.append(f"{4 * CALLS} changes: p50 {p50:.0f} ms, p95 {p95:.0f} ms")
        print(told[-1])
        if p50 <= SLACK * P50_MS and p95 <= SLACK * P95_MS:
            break
    else:
        pytest.fail("; ".join(told))
    record_property("latency", told[-1])
