"""`python -m jupyter_faas.runner`: `zygote --control-fd N`; in a pod `serve --listen ADDRESS`.

`serve` with `FAAS_TRUST` and `FAAS_POD_UID` takes only what that gateway has sealed; see
`admission.py`.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence

from jupyter_faas.runner.admission import Trust, take_trust
from jupyter_faas.runner.forking import BecomeRole, limit_library_threads

SERVED = "runner"
"""Name of the one replica of a pod."""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments and run; returns the exit code."""
    options = _parser().parse_args(argv)
    # Imported here, once, before any fork: children find everything loaded.
    limit_library_threads()
    from jupyter_faas.runner import front, worker, zygote  # noqa: F401, PLC0415 - see above

    _no_input()
    preload = tuple(name for name in options.preload.split(",") if name)
    try:
        if options.command == "zygote":
            control = socket.socket(fileno=options.control_fd)
            os.set_inheritable(options.control_fd, False)
            provided = zygote.Zygote(control, preload)
            provided.settle()
            return provided.run()
        alone = zygote.Zygote(None, preload, _trust())
        alone.settle()
        alone.serve(SERVED, options.listen)
        return alone.run()
    except BecomeRole as become:
        role = become.role
    return role()


def _trust() -> Trust | None:
    """Return whose specialisations to take; what checks them is loaded once, for all forks."""
    trust = take_trust(os.environ)
    if trust is not None:
        from jupyter_faas.runner import sealed  # noqa: PLC0415 - 40 ms, only where it is needed

        sealed.rehearse()
    return trust


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jupyter_faas.runner", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    warm = commands.add_parser("zygote", help="fork replicas as the provider asks")
    warm.add_argument("--control-fd", type=int, required=True, help="socket to the provider")
    serve = commands.add_parser("serve", help="be one replica")
    serve.add_argument("--listen", required=True, help="HOST:PORT or unix:PATH")
    for command in (warm, serve):
        command.add_argument("--preload", default="", help="modules to import when idle, a,b,c")
    return parser


def _no_input() -> None:
    """Give this process and its children an empty standard input."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


if __name__ == "__main__":
    code = main()
    # Not sys.exit: a worker must not wait for threads or hooks that user code has left.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
