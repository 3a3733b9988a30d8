"""First on the path of every Ray process: keeps out what takes long, and ends it with its node.

`jsonschema` imports what `jsonschema[format-nongpl]`, which Jupyter brings, has installed beside
it: `rfc3987_syntax` compiles a grammar (1.4 to 2 s in each process), the others take 0.25 s of
CPU. Without them it checks a few formats less. `wcwidth` is for tables with wide letters.

When a node dies, Ray lets its actors live for as long as there is a head, and its agents wait a
minute for one that is gone.
"""

import _thread
import os
import select
import sys

for name in ("rfc3987_syntax", "rfc3986_validator", "isoduration", "wcwidth"):
    sys.modules[name] = None  # type: ignore[assignment]  # - how an import is refused


def end_with(node: int) -> None:
    """End this process when that of its node does."""
    try:
        end = select.poll()
        end.register(os.pidfd_open(node), select.POLLIN)
        end.poll()
    except ProcessLookupError:
        pass  # it has ended
    except OSError:
        return  # gVisor has no pidfd; there a node is a container, which ends as a whole
    os._exit(1)


if "RAY_RAYLET_PID" in os.environ:
    _thread.start_new_thread(end_with, (int(os.environ["RAY_RAYLET_PID"]),))
