"""The local provider: replicas are processes of this machine, forked from warm zygotes.

One `Environment` per Python interpreter; this module knows which one a revision needs, how many
replicas the machine may have, and cleans up before and after.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from jupyter_faas.core.errors import EnvironmentMismatch, InvalidSpec, ProviderError
from jupyter_faas.core.model import Place, Revision, RevisionSpec
from jupyter_faas.core.settings import Settings, StatePaths
from jupyter_faas.providers.background import Background
from jupyter_faas.providers.base import (
    Inventory,
    ReplicaEvent,
    ReplicaFound,
    ReplicaGone,
    ReplicaPending,
)
from jupyter_faas.providers.local.environment import Environment
from jupyter_faas.providers.local.interpreter import (
    Interpreter,
    ask_interpreter,
    is_same_environment,
    own_interpreter,
)
from jupyter_faas.providers.local.inventory import read_inventory
from jupyter_faas.providers.local.leftovers import end_leftovers, remove_sockets
from jupyter_faas.providers.local.process import (
    Birth,
    Command,
    ZygoteProcess,
    own_pythonpath,
    pythonpath_of,
    spawn_zygote,
    zygote_command,
)
from jupyter_faas.providers.local.run_dir import run_directory
from jupyter_faas.providers.local.site_stamp import Marks, SiteStamp

_INSTEAD = {
    "image": "They use the notebook's own Python and packages.",
    "volumes": "They see the files of this machine as they are.",
    "secrets": "Pass the value with `env=`.",
}
"""What serves the purpose of a setting on this machine."""
_HOUSEKEEPING_S = 2.0
_LOG_KEEPS = 0.5
_LAST_ROUNDS, _LAST_ROUND_S = 200, 0.01
_log = logging.getLogger(__name__)


class LocalProvider:
    """Creates and ends replicas on this machine. See `providers/base.py` for the protocol.

    Args:
        settings: `state_dir`, `preload`, `spare_replicas`, `max_replicas` and graces are used.
        environ: Environment of the gateway.
        first: A zygote of the gateway's own interpreter that has been started already.
        command: Makes a zygote's argv.
    """

    name = "local"
    reason_s = 0.05
    is_shared = False

    def __init__(
        self,
        settings: Settings,
        *,
        environ: Mapping[str, str] = os.environ,
        first: ZygoteProcess | None = None,
        command: Command = zygote_command,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._first = first
        self._command = command
        self._own = own_interpreter()
        self._run_dir = Path()
        self._environments: dict[tuple[str, str], Environment] = {}
        self._interpreters: dict[str, Interpreter] = {}
        self._inventories: dict[str, tuple[Marks, Inventory]] = {}
        self._homes: dict[str, Environment] = {}
        self._no_room: deque[tuple[str, Environment]] = deque()
        self._events: asyncio.Queue[ReplicaEvent | None] = asyncio.Queue()
        self._background = Background("work of the local provider")

    def check(self, spec: RevisionSpec) -> None:
        """Refuse what only a cluster can give: images, volumes, secrets, node choice, GPUs."""
        asked = {
            "image": spec.image,
            "runtime_class": spec.runtime_class,
            "gpu": spec.resources.gpu,
            "node_selector": spec.node_selector,
            "volumes": spec.volumes,
            "secrets": spec.secrets,
        }
        for setting, value in asked.items():
            if value:
                raise InvalidSpec(
                    f"`{setting}` needs a Kubernetes gateway: this one runs functions as processes "
                    f"of this machine. {_INSTEAD.get(setting, 'Leave it out here.')}"
                )

    async def open(self) -> None:
        """Make the directory of sockets, end what an earlier gateway left, start a zygote."""
        paths = StatePaths(self._settings.state_dir)
        self._run_dir = run_directory(paths.run, self._environ)
        await asyncio.to_thread(end_leftovers, self._run_dir, os.getpid())
        remove_sockets(self._run_dir)
        own = self._environment(None)
        if self._first is None:
            self._first = self._spawn(self._own_birth(), self._settings.preload)
        own.adopt(self._first)
        own.stamp = SiteStamp(self._own.sys_path)
        self._background.run(self._keep_house())

    async def start(
        self, revision: Revision, replica_ids: Sequence[str], *, made_to_measure: bool = False
    ) -> None:
        """Begin to make replicas; the outcome comes from `watch`."""
        place = revision.spec.place
        environment = self._environment(place)
        for replica_id in replica_ids:
            if len(self._homes) < self._settings.max_replicas:
                self._homes[replica_id] = environment
                environment.start([replica_id])
            else:
                self._no_room.append((replica_id, environment))
                self._events.put_nowait(
                    ReplicaPending(replica=replica_id, reason=self._why_no_room())
                )
        environment.learn(tuple(revision.spec.code.modules))

    async def stop(self, replica_id: str, *, grace_s: float = 0.0) -> None:
        """End a replica; unknown ids are ignored."""
        for waiting in self._no_room:
            if waiting[0] == replica_id:
                self._no_room.remove(waiting)
                self._events.put_nowait(ReplicaGone(replica=replica_id, reason="stopped"))
                return
        if environment := self._homes.get(replica_id):
            environment.stop(replica_id, grace_s)

    async def watch(self) -> AsyncIterator[ReplicaEvent]:
        """Yield what happens to replicas until the provider is closed."""
        while (event := await self._events.get()) is not None:
            yield event

    async def known(self, namespace: str, function: str) -> list[ReplicaFound]:
        """Return nothing: replicas here end with their gateway."""
        return []

    def adopted(self, revision: Revision, replica_id: str) -> None:
        """Nothing to do: there is nothing to adopt."""

    async def secrets(self, namespace: str, names: Sequence[str]) -> dict[str, str]:
        """Return nothing: `check` has refused functions that ask for secrets."""
        return {}

    async def inventory(self, revision_python: str, interpreter: str | None) -> Inventory:
        """Return what replicas of an interpreter can import.

        Args:
            revision_python: Minor version the code was made with, e.g. `3.11`.
            interpreter: Path; None is the gateway's own.

        Raises:
            EnvironmentMismatch: The interpreter has another minor version.
            ProviderError: The interpreter does not work.
        """
        found = await self._interpreter(interpreter)
        if found.minor != revision_python:
            raise EnvironmentMismatch(
                f"The code was made with Python {revision_python}; replicas here run "
                f"{found.version} ({found.path})."
            )
        stamp = SiteStamp(found.sys_path)
        known = self._inventories.get(found.path)
        if known is None or known[0] != stamp.marks:
            inventory = await asyncio.to_thread(read_inventory, found.version, found.sys_path)
            known = self._inventories[found.path] = (stamp.marks, inventory)
        return known[1]

    async def close(self) -> None:
        """End every replica and zygote; nothing is left when this returns."""
        await self._background.close()
        for environment in self._environments.values():
            environment.hang_up()
        for environment in self._environments.values():
            await environment.ended(self._settings.stop_grace_s)
        await self._end_the_rest()
        remove_sockets(self._run_dir)
        self._events.put_nowait(None)

    async def _end_the_rest(self) -> None:
        """Kill what its zygote has not ended, and wait until it is gone."""
        for _ in range(_LAST_ROUNDS):
            if not await asyncio.to_thread(end_leftovers, self._run_dir):
                return
            await asyncio.sleep(_LAST_ROUND_S)

    # Environments

    def _environment(self, place: Place | None) -> Environment:
        birth = self._birth(place)
        key = (birth.interpreter, birth.pythonpath)
        if key not in self._environments:
            made = Environment(
                birth.interpreter,
                lambda modules: self._spawn(birth, (*birth.preload, *modules)),
                self._on_event,
                self._run_dir,
                self._settings.spare_replicas,
            )
            self._environments[key] = made
        return self._environments[key]

    def _birth(self, place: Place | None) -> Birth:
        if place is None or is_same_environment(place.interpreter, self._own.path):
            return self._own_birth()
        return Birth(place.interpreter, pythonpath_of(place.sys_path), self._settings.preload)

    def _own_birth(self) -> Birth:
        return Birth(self._own.path, own_pythonpath(), self._settings.preload)

    def _spawn(self, birth: Birth, preload: tuple[str, ...]) -> ZygoteProcess:
        """Start a zygote and note what is installed, so that a change is seen."""
        preload = tuple(dict.fromkeys(preload))
        process = spawn_zygote(
            birth._replace(preload=preload), self._run_dir, self._environ, self._command
        )
        self._background.run(self._stamp((birth.interpreter, birth.pythonpath)))
        return process

    async def _stamp(self, key: tuple[str, str]) -> None:
        try:
            interpreter = await self._interpreter(key[0])
        except ProviderError:
            return  # its zygote tells why
        if environment := self._environments.get(key):
            environment.stamp = SiteStamp(interpreter.sys_path)

    async def _interpreter(self, path: str | None) -> Interpreter:
        if path is None or is_same_environment(path, self._own.path):
            return self._own
        if path not in self._interpreters:
            self._interpreters[path] = await ask_interpreter(path)
        return self._interpreters[path]

    # Events and room

    def _on_event(self, event: ReplicaEvent) -> None:
        self._events.put_nowait(event)
        if isinstance(event, ReplicaGone):
            self._homes.pop(event.replica, None)
            self._admit()

    def _admit(self) -> None:
        while self._no_room and len(self._homes) < self._settings.max_replicas:
            replica_id, environment = self._no_room.popleft()
            self._homes[replica_id] = environment
            environment.start([replica_id])

    def _why_no_room(self) -> str:
        return (
            f"{self._settings.max_replicas} replicas are running on this machine, "
            "as many as FAAS_MAX_REPLICAS allows"
        )

    # Housekeeping

    async def _keep_house(self) -> None:
        """Replace zygotes whose packages changed, wake those that were stopped; bound the log."""
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            try:
                for environment in self._environments.values():
                    environment.refresh()
                    environment.wake()
                trim_log(self._run_dir / "runners.log", self._settings.log_file_bytes)
            except OSError:
                _log.exception("the replicas of this machine could not be looked after")


def trim_log(path: Path, max_bytes: int) -> None:
    """Cut a log that others append to down to its last half once it is over `max_bytes`."""
    try:
        if path.stat().st_size <= max_bytes:
            return
        with path.open("rb+") as log:
            log.seek(-int(max_bytes * _LOG_KEEPS), os.SEEK_END)
            kept = log.read()
            log.seek(0)
            log.write(kept)
            log.truncate()
    except FileNotFoundError:
        return
