"""A forked kernel as the server sees it, with the face of `subprocess.Popen`.

It is no child of the server, so its end is seen by a pidfd and its status is the zygote's word.
`LocalProvisioner` asks it what it asks a process it has started itself.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import suppress

from jupyter_faas.kernels.order import ENDED, MAX_MESSAGE_BYTES

UNKNOWN_EXIT = 1
"""Exit code of a kernel whose zygote was killed before it could say."""

_WORD_MS = 100.0
"""How long the zygote may take to say how a kernel ended that has."""


class ForkedKernel:
    """One kernel that has been forked.

    Args:
        pid: Its process, and its process group.
        pidfd: Of the process; closed here.
        link: Where the zygote says how it ended; closed here.
    """

    stdin = stdout = stderr = None
    """A forked kernel has no pipes to the server."""

    def __init__(self, pid: int, pidfd: int, link: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = pidfd
        self._link = link

    def poll(self) -> int | None:
        """Return the exit code (a signal's number negated), None while it runs."""
        if self.returncode is None and is_readable(self._pidfd, 0):
            self.returncode = self._told_exit()
            self.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended.

        Raises:
            TimeoutError: It has not within `timeout` seconds.
        """
        if self.returncode is None:
            is_readable(self._pidfd, None if timeout is None else timeout * 1000)
        code = self.poll()
        if code is None:
            raise TimeoutError(f"kernel {self.pid} has not ended within {timeout} s")
        return code

    def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel and what it has started in its process group.

        Also when the kernel itself has ended, unless its number has been given to a new process.
        """
        if self.poll() is not None and os.path.exists(f"/proc/{self.pid}"):
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signum)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Let go of the descriptors; the kernel does not notice."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self._link.close()

    def __del__(self) -> None:
        self.close()

    def _told_exit(self) -> int:
        with suppress(OSError, ValueError):
            while is_readable(self._link.fileno(), _WORD_MS):
                message = self._link.recv(MAX_MESSAGE_BYTES)
                if not message:
                    break
                if message.startswith(ENDED):
                    return os.waitstatus_to_exitcode(int(message[1:]))
        return UNKNOWN_EXIT


def is_readable(fd: int, timeout_ms: float | None) -> bool:
    """Return whether there is something to read (or to learn) within a time; None: no limit."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_ms))
