import subprocess
import sys


def test_the_blocking_client_loads_no_event_loop_and_no_parser():
    """A script that makes one call should not wait for what it does not use."""
    code = "import sys, jupyter_faas.wire.blocking; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"asyncio", "ssl", "httptools", "uvloop", "email", "starlette"}
    assert heavy.isdisjoint(loaded.stdout.split())


def test_the_client_for_coroutines_loads_no_parser():
    code = "import sys, jupyter_faas.wire.aio; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert {"httptools", "uvloop", "starlette"}.isdisjoint(loaded.stdout.split())
