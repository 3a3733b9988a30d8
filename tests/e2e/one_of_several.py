"""A gateway process that serves with others on this machine: for tests, as a cluster has them.

Each has its own state directory and the local provider; they share one database file, and the
packages in it; with FAAS_KEPT_URL, calls and maps are kept by that service. What the others write
is seen by polling: a stand-in for the cluster's watch.
Started as `python -m tests.e2e.one_of_several ID WHERE PORT=ID…`; says `ready` once it answers.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path

import uvloop

from jupyter_faas.cli.cluster_maps import driver_host, share_kept
from jupyter_faas.core.ownership import Member
from jupyter_faas.core.settings import Settings
from jupyter_faas.gateway.kept.remote import RemoteKept
from jupyter_faas.gateway.keys import Keys
from jupyter_faas.gateway.membership import Cohort, FixedMembership
from jupyter_faas.gateway.service import GatewayService
from jupyter_faas.gateway.store.sqlite import SqliteStore
from jupyter_faas.providers.local.provider import LocalProvider
from jupyter_faas.wire.kept import KeptLink

TOKEN = "a-token-of-these-tests"
POLL_S = 0.02


async def main(id: str, where: Path, ports: dict[str, int]) -> None:
    state = where / id
    state.mkdir(exist_ok=True)
    (where / "blobs").mkdir(exist_ok=True)
    if not (state / "blobs").exists():
        (state / "blobs").symlink_to(where / "blobs")
    settings, _ = Settings.load(
        {
            "FAAS_PRELOAD": "none",
            "FAAS_MAX_BODY_BYTES": str(1 << 30),
            **os.environ,
            "FAAS_STATE_DIR": str(state),
            "FAAS_GATEWAY_TOKEN": TOKEN,
            "FAAS_PORT": str(ports[id]),
        }
    )
    store = SqliteStore(where / "shared.db", time.time)
    members = {name: Member(name, f"127.0.0.1:{port}") for name, port in ports.items()}
    cohort = Cohort(members[id], FixedMembership(members.values()), "of-the-gateways")
    link = kept_link(settings)
    if link is not None:
        store.kept = RemoteKept(link)
    service = GatewayService(settings, LocalProvider(settings), store, peers=cohort)
    if link is not None:
        service.maps.host = driver_host(service, Keys.make(), link, os.environ)
        share_kept(service, link)
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await service.start()
    following = asyncio.ensure_future(follow(service, where / "shared.db"))
    print("ready", flush=True)
    await told.wait()
    await service.stop()
    following.cancel()


def kept_link(settings: Settings) -> KeptLink | None:
    """Return the way to what keeps calls and maps for all of them, if there is such."""
    if not settings.kept_url:
        return None
    key = Path(settings.blobs_key_file).read_bytes()
    return KeptLink(settings.kept_url.removeprefix("http://"), key.hex())


async def follow(service: GatewayService, path: Path) -> None:
    """Take what other processes write to the database."""
    database = sqlite3.connect(path)
    seen = None
    while True:
        (version,) = database.execute("PRAGMA data_version").fetchone()
        if version != seen:
            seen = version
            await take(service)
        await asyncio.sleep(POLL_S)


async def take(service: GatewayService) -> None:
    contents = await service.store.load()
    several = service.several
    for function in contents.functions:
        target = (function.namespace, function.name)
        if several.peers.owns(target) and service.registry.find(*target):
            continue  # its own: it has written that itself
        revisions = [one for one in contents.revisions if (one.namespace, one.function) == target]
        await service.registry.take(function, revisions)
    there = {(one.namespace, one.name) for one in contents.functions}
    for entry in list(service.registry.functions()):
        target = (entry.namespace, entry.name)
        if target not in there and not several.peers.owns(target):
            await service.registry.forget(*target)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    own, place, *pairs = sys.argv[1:]
    named = {name: int(port) for port, name in (pair.split("=") for pair in pairs)}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(own, Path(place), named))
