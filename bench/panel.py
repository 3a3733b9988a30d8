"""What a panel on a screen costs the kernel: 200 functions at 500 calls a second.

A stub sends the events of that load; counted is the kernel's CPU, with a panel of all functions,
with one of one function, and with none.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from bench.harness import Row, cpu_s

SECONDS = 10.0
STUB = Path(__file__).parent / "peers/event_stub.py"


def run() -> list[Row]:
    """Measure all three in one kernel."""
    shares = {}
    with (
        tempfile.TemporaryDirectory(prefix="faas-b-", dir="/tmp") as directory,
        stub(directory) as address,
        kernel(address) as (client, pid),
    ):
        prepare(client, Path(directory))
        idle = share(pid)
        for name, panel in (("all", "faas.panel()"), ("one", "faas.panel('f0')")):
            comm = shown(client, panel)
            say(client, comm, {"type": "watch", "view": "v", "calls": [], "logs": []})
            time.sleep(1)
            say(client, comm, {"type": "alive", "view": "v"})
            shares[name], told = share(pid), drained(client)
            assert told > SECONDS * 3, f"a page was told {told} times"
            say(client, comm, {"type": "hidden", "view": "v"})
            time.sleep(1)
    over = {name: (value - idle) * 100 for name, value in shares.items()}
    return [
        Row(
            "kernel CPU of a panel of 200 functions at 500 calls/s",
            f"{over['all']:.1f} % of a core",
            "≤ 5 %",
            over["all"] <= 5,
            {"idle_percent": idle * 100, "all_percent": over["all"]},
        ),
        Row("… of a panel of one of them", f"{over['one']:.1f} % of a core"),
    ]


def share(pid: int) -> float:
    """Return the share of a core that a process takes over the next seconds."""
    before, began_s = cpu_s(pid), time.monotonic()
    time.sleep(SECONDS)
    return (cpu_s(pid) - before) / (time.monotonic() - began_s)


@contextmanager
def stub(directory: str) -> Iterator[str]:
    """Run the stub; yields its address."""
    path = f"{directory}/s"
    with subprocess.Popen([sys.executable, str(STUB), path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield f"unix:{path}"
        finally:
            process.terminate()


@contextmanager
def kernel(address: str) -> Iterator[tuple[Any, int]]:
    """Run a kernel; yields a client and its pid."""
    manager = KernelManager(kernel_name="python3")
    environ = {**os.environ, "FAAS_GATEWAY_URL": address, "FAAS_GATEWAY_TOKEN": "none"}
    manager.start_kernel(env=environ)
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    try:
        yield client, int(value(client, "__import__('os').getpid()"))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def prepare(client: Any, page: Path) -> None:
    """Load everything, with a stand-in for the page."""
    (page / "panel.js").write_text("export default {}")
    (page / "panel.css").write_text("")
    client.execute_interactive(
        "import jupyter_faas as faas, jupyter_faas.notebook.panel_widget as w\n"
        f"from pathlib import Path; w.STATIC = Path({str(page)!r})\nfaas.panel()",
        output_hook=lambda _message: None,
        timeout=60,
    )


def value(client: Any, code: str) -> str:
    """Return the text of an expression."""
    reply = client.execute(code, silent=True, user_expressions={"v": code}, reply=True, timeout=60)
    return str(reply["content"]["user_expressions"]["v"]["data"]["text/plain"])


def shown(client: Any, panel: str) -> str:
    """Show a panel and return the comm of its widget."""
    found: list[str] = []

    def see(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "comm_open" and "snapshot" in content["data"]["state"]:
            found.append(content["comm_id"])

    client.execute_interactive(panel, output_hook=see, timeout=60)
    return found[0]


def say(client: Any, comm: str, content: dict[str, Any]) -> None:
    """Send what a page sends."""
    data = {"method": "custom", "content": content}
    message = client.session.msg("comm_msg", {"comm_id": comm, "data": data})
    client.shell_channel.send(message)


def drained(client: Any) -> int:
    """Take what a page was told and return how often that was."""
    told = 0
    while client.iopub_channel.msg_ready():
        told += client.get_iopub_msg(timeout=1)["msg_type"] == "comm_msg"
    return told
