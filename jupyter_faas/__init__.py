"""Serverless functions for people who live in Jupyter.

```python
from jupyter_faas import serverless

@serverless(max_containers=10)
def score(text): ...

score("x")          # here
score.remote("x")   # there; deploys first if this code is not deployed yet
```

Names are loaded when they are first used (PEP 562): importing this package costs a few
milliseconds and starts nothing. In a Jupyter kernel it also makes the output of calls appear
under the cell that made them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from jupyter_faas.core.version import VERSION as __version__

if TYPE_CHECKING:
    from jupyter_faas.client.classes import RemoteClass
    from jupyter_faas.client.connect import connect, gateway
    from jupyter_faas.client.decorator import serverless
    from jupyter_faas.client.executor import Executor
    from jupyter_faas.client.function import RemoteFunction
    from jupyter_faas.client.lookup import function, functions
    from jupyter_faas.client.map_run import MapRun
    from jupyter_faas.client.panel import panel
    from jupyter_faas.client.policies import Cron, Period, Retries
    from jupyter_faas.client.spawned import FunctionCall, gather
    from jupyter_faas.core.errors import (
        BadRequest,
        CapacityError,
        ColdStartTimeout,
        EnvironmentMismatch,
        EventsGone,
        ExecutionError,
        FaasError,
        Forbidden,
        FunctionNotFound,
        GatewayLost,
        GatewayUnavailable,
        InternalError,
        InvalidSpec,
        InvocationCancelled,
        InvocationNotFound,
        InvocationTimeout,
        MissingPackages,
        NameTaken,
        NestedDeadlock,
        NotImplementedYet,
        NotSerializable,
        PayloadTooLarge,
        PlatformError,
        ProviderError,
        QueueFull,
        QueueTimeout,
        RemoteError,
        ReplicaLost,
        ResultNotJson,
        RevisionNotFound,
        Unauthorized,
        UsageError,
    )

__all__ = [
    "BadRequest",
    "CapacityError",
    "ColdStartTimeout",
    "Cron",
    "EnvironmentMismatch",
    "EventsGone",
    "ExecutionError",
    "Executor",
    "FaasError",
    "Forbidden",
    "FunctionCall",
    "FunctionNotFound",
    "GatewayLost",
    "GatewayUnavailable",
    "InternalError",
    "InvalidSpec",
    "InvocationCancelled",
    "InvocationNotFound",
    "InvocationTimeout",
    "MapRun",
    "MissingPackages",
    "NameTaken",
    "NestedDeadlock",
    "NotImplementedYet",
    "NotSerializable",
    "PayloadTooLarge",
    "Period",
    "PlatformError",
    "ProviderError",
    "QueueFull",
    "QueueTimeout",
    "RemoteClass",
    "RemoteError",
    "RemoteFunction",
    "ReplicaLost",
    "ResultNotJson",
    "Retries",
    "RevisionNotFound",
    "Unauthorized",
    "UsageError",
    "__version__",
    "connect",
    "function",
    "functions",
    "gateway",
    "gather",
    "panel",
    "serverless",
]

_HOMES = {
    "Cron": "client.policies",
    "Executor": "client.executor",
    "FunctionCall": "client.spawned",
    "MapRun": "client.map_run",
    "Period": "client.policies",
    "RemoteClass": "client.classes",
    "RemoteFunction": "client.function",
    "Retries": "client.policies",
    "connect": "client.connect",
    "function": "client.lookup",
    "functions": "client.lookup",
    "gather": "client.spawned",
    "panel": "client.panel",
    "serverless": "client.decorator",
}


class _Package(ModuleType):
    """This module: `gateway` is the public function although a subpackage has the same name."""

    @property
    def gateway(self) -> Any:
        from jupyter_faas.client.connect import gateway  # noqa: PLC0415 - loaded when used

        return gateway

    @gateway.setter
    def gateway(self, module: ModuleType) -> None:
        """Importing the subpackage sets it here; it stays reachable as `sys.modules` knows it."""


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name) or ("core.errors" if name in __all__ else None)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """Register the magics: `%load_ext jupyter_faas`."""
    from jupyter_faas.notebook import kernel, magics  # noqa: PLC0415 - IPython only where it runs

    kernel.install()  # done already, unless this package had been imported before the kernel began
    magics.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Take the magics away again."""
    from jupyter_faas.notebook import magics  # noqa: PLC0415 - IPython only where it runs

    magics.unload(shell)


sys.modules[__name__].__class__ = _Package

if "ipykernel.kernelapp" in sys.modules:
    from jupyter_faas.notebook import kernel

    kernel.install()
