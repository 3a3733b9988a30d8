"""What jupyter_client calls to start, signal and end a kernel "Python 3 (serverless)".

Registered as `jupyter-faas` (entry point group `jupyter_client.kernel_provisioners`), named by the
kernelspec. Ports, connection file and environment are made as for any local kernel; only the
process comes from `nursery.py`. A kernel that cannot be forked is started as any other, and both
the server's log and the kernel's banner say why.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from jupyter_faas.kernels.birth import NotForkable, birth_of, kernel_environ, plain_command
from jupyter_faas.kernels.forked import ForkedKernel
from jupyter_faas.kernels.nursery import nursery
from jupyter_faas.kernels.order import make_order
from jupyter_faas.kernels.process import Streams


class ForkingProvisioner(LocalProvisioner):
    """A local kernel that is forked from a warm process."""

    process: Any = None
    """A `ForkedKernel`, or the `subprocess.Popen` of a plain start."""

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Prepare ports, connection file and environment as for any local kernel.

        The kernelspec says that the kernel encrypts: an ipykernel that does not is found here.

        Raises:
            RuntimeError: Encryption is required, and it does not.
        """
        if self.kernel_spec.metadata.get("supported_encryption") and not can_encrypt():
            del self.kernel_spec.metadata["supported_encryption"]
            asked = kwargs.get("transport_encryption") or getattr(
                self.parent, "transport_encryption", ""
            )
            if asked == "required":
                raise RuntimeError(
                    "transport_encryption='required', which this ipykernel cannot do: update it "
                    "(`pip install -U ipykernel`) or allow 'auto'."
                )
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork the kernel; or start it plainly, saying why.

        Raises:
            OSError: It cannot be started plainly either.
        """
        try:
            kernel = await self._fork(cmd, kwargs)
        except NotForkable as reason:
            self.log.warning("Kernel %s is not forked: %s.", self.kernel_id, reason)
            return await super().launch_kernel(plain_command(cmd, str(reason)), **kwargs)
        self.process, self.pid = kernel, kernel.pid
        # Not its process group: signals go through `kernel`, which knows whether it is still that.
        self.pgid = None
        self.cwd = kwargs.get("cwd") or os.getcwd()
        return self.connection_info

    async def _fork(self, cmd: list[str], kwargs: dict[str, Any]) -> ForkedKernel:
        if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"):
            raise NotForkable("that takes Linux 5.3 or later")
        environ = kernel_environ(kwargs["env"], os.getpid())
        birth = birth_of(
            cmd, environ, (name for name, value in kwargs.items() if value is not None)
        )
        order = make_order(cmd, environ, str(kwargs.get("cwd") or os.getcwd()))
        streams = Streams(_descriptor(kwargs, "stdout", 1), _descriptor(kwargs, "stderr", 2))
        return await nursery().fork(birth, order, streams)


def can_encrypt() -> bool:
    """Return whether the installed ipykernel knows the keys of CurveZMQ: older ones do not."""
    found = importlib.util.find_spec("ipykernel.kernelapp")
    if found is None or found.origin is None:
        return False
    return "curve_secretkey" in Path(found.origin).read_text(encoding="utf-8")


def _descriptor(kwargs: dict[str, Any], name: str, standard: int) -> int:
    """Return the descriptor a kernel's stream goes to: the server's own unless asked otherwise."""
    asked = kwargs.get(name)
    fd = standard if asked is None else asked if isinstance(asked, int) else asked.fileno()
    if fd < 0:
        raise NotForkable(f"its {name} is asked for as a pipe")
    return int(fd)
