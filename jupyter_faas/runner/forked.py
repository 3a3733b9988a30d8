"""A process that user code has forked and that comes back into the worker's own code.

It must not answer: the call is its parent's. It ends here, with the status its code asked for.
"""

from __future__ import annotations

import os
import sys


class ForkGuard:
    """Remembers which process is the worker."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def check(self, error: BaseException | None) -> None:
        """Return in the worker; end any other process.

        Args:
            error: What user code has ended with, if not well.
        """
        if os.getpid() == self._pid:
            return
        code = 0
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            sys.excepthook(type(error), error, error.__traceback__)
            code = 1
        os._exit(code)
