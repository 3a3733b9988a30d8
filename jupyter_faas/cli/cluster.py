"""The life of one gateway of a cluster: composed, announced, and ended by a signal.

In a pod it is one of several; outside of a cluster (with kubeconfig, where the addresses of pods
can be reached) it is for development and for clusters of one machine. Everything that lasts is on
the cluster: the directory here is a cache and may be lost.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec
import uvloop

from jupyter_faas.cli.cluster_maps import driver_host, share_kept
from jupyter_faas.cli.ending import told_to_end
from jupyter_faas.client.state_file import prepare_state_dir
from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.ids import random_prefix
from jupyter_faas.core.mapping import Seating
from jupyter_faas.core.ownership import Member, Moves
from jupyter_faas.core.settings import Settings, StatePaths
from jupyter_faas.gateway.auth import Authority, Judge
from jupyter_faas.gateway.blob_service import BlobClient
from jupyter_faas.gateway.cluster.control import ClusterControl
from jupyter_faas.gateway.cluster.controller import digest_of
from jupyter_faas.gateway.cluster.leading import Leading
from jupyter_faas.gateway.cluster_auth import ClusterAuthority
from jupyter_faas.gateway.cluster_blobs import Backing, ClusterBlobs
from jupyter_faas.gateway.entries import RevisionEntry
from jupyter_faas.gateway.greeting import greet
from jupyter_faas.gateway.kept.remote import RemoteKept
from jupyter_faas.gateway.keys import Keys
from jupyter_faas.gateway.membership import Cohort
from jupyter_faas.gateway.object_blobs import ObjectBlobs
from jupyter_faas.gateway.objects import SCHEMES
from jupyter_faas.gateway.service import GatewayService
from jupyter_faas.gateway.store.kubernetes import KubernetesStore
from jupyter_faas.gateway.store.translation import translated
from jupyter_faas.providers.kubernetes.api import KubeApi, KubeError, path_of
from jupyter_faas.providers.kubernetes.keys import ensure_keys, publish_ray, publish_trust
from jupyter_faas.providers.kubernetes.lease import Leader
from jupyter_faas.providers.kubernetes.members import KubernetesMembers
from jupyter_faas.providers.kubernetes.names import (
    BLOBS_KEY,
    BLOBS_NAME,
    BLOBS_PORT,
    GATEWAY_NAME,
    GATEWAY_PORT,
    KEYS_SECRET,
    PEERS_NAME,
    RAY_HOST_TOKEN,
    RAY_TOKEN,
)
from jupyter_faas.providers.kubernetes.provider import KubernetesProvider
from jupyter_faas.providers.kubernetes.reviews import Reviews
from jupyter_faas.wire.kept import KeptLink

_KEY_BYTES = 32
NO_BLOBS = "none"
_EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 — what is listened on, not where one calls


def serve_cluster(settings: Settings, context: str | None) -> int:
    """Run a gateway of a cluster until it is told to end; return the exit code.

    Args:
        settings: Effective settings. With a `gateway_token` that token opens everything, instead
            of the cluster's RBAC: for one person's development.
        context: Of kubeconfig; None: in a pod its cluster, else the current one.

    Raises:
        ProviderError: The cluster cannot be used.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    settings = placed(settings, is_in_pod=bool(os.environ.get("POD_IP")))
    prepare_state_dir(StatePaths(settings.state_dir))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_live(settings, context))
    return 0


def placed(settings: Settings, *, is_in_pod: bool) -> Settings:
    """Return settings with what depends on where a gateway of a cluster runs."""
    # A directory of its own: not that of this user's embedded gateway, nor a volume of a pod.
    state_dir = str(Path(settings.state_dir) / f"k8s-{settings.system_namespace}")
    chosen: dict[str, object] = {"state_dir": state_dir}
    if settings.port == 0:
        chosen["port"] = GATEWAY_PORT
    if is_in_pod:
        service = f"http://{GATEWAY_NAME}.{settings.system_namespace}.svc"
        if not settings.calls_url and settings.calls_port:
            chosen["calls_url"] = f"{service}:{settings.calls_port}"
    elif not settings.url:
        host = "127.0.0.1" if settings.host in _EVERYWHERE else settings.host
        chosen["url"] = f"http://{host}:{settings.port or GATEWAY_PORT}"
    return msgspec.structs.replace(settings, **chosen)


async def _live(settings: Settings, context: str | None) -> None:
    told = told_to_end()
    with translated("The cluster cannot be used"):
        api = await KubeApi.connect(context)
    try:
        service = await compose(settings, api)
        await service.start()
        click.echo(f"Gateway of {', '.join(settings.namespaces)} at {service.url}.")
        try:
            await told.wait()
        finally:
            await service.stop()
    finally:
        await api.close()


async def compose(
    settings: Settings, api: KubeApi, environ: Mapping[str, str] = os.environ
) -> GatewayService:
    """Return a gateway of a cluster, not started yet.

    Args:
        settings: See `placed`.
        api: The cluster.
        environ: `POD_NAME` and `POD_IP` tell that it is one of several, and which.

    Raises:
        ProviderError: Its keys cannot be read or made.
    """
    keys, blobs_key = await read_keys(api, settings.system_namespace)
    await publish_trust(api, settings.namespaces, keys.public_key)
    if settings.ray_host:
        await _publish_ray(settings, api, keys)
    paths = StatePaths(settings.state_dir)
    backing = _backing(settings, blobs_key)
    blobs = ClusterBlobs(paths.blobs, backing, settings.max_body_bytes)
    store = KubernetesStore(
        api,
        settings.namespaces,
        settings.system_namespace,
        read_package=blobs.fetch,
        digest_of=digest_of,
        kept_records=settings.invocation_retention,
    )
    blobs.inside = store.package
    link = None if backing is None else KeptLink(_kept_address(settings), blobs_key.hex())
    if link is not None:
        store.kept = RemoteKept(link)
    provider = KubernetesProvider(
        api,
        settings.namespaces,
        lambda one: store.owner_reference(one.namespace, one.function, one.number),
        greet,
    )
    service = GatewayService(
        settings,
        provider,
        store,
        time.monotonic,
        authority=_judge(settings, api, keys),
        keys=keys,
        blobs=blobs,
        peers=cohort_of(settings, api, keys, environ),
    )
    control = ClusterControl(service, store, api, owns=service.owns_name)
    if service.several is not None:
        service.several.peers.subscribe(lambda _owners, moves: look_at(control, moves))
    service.attach(control)
    service.attach(Leading(leader_of(settings, api, environ), provider))
    service.maps.host = driver_host(service, keys, link, environ)
    if settings.ray_host:
        service.maps.seating = lambda entry: _seating(service, entry)
        service.maps.prepare = service.fetch_for_maps
    if link is not None:
        share_kept(service, link)
    return service


def _seating(service: GatewayService, entry: RevisionEntry) -> Seating:
    """Return what it takes to run a revision on the cluster's Ray."""
    return Seating(
        python=entry.revision.spec.code.python,
        specialisation=msgspec.msgpack.encode(service.told_elsewhere(entry)),
    )


async def _publish_ray(settings: Settings, api: KubeApi, keys: Keys) -> None:
    """Give the Ray of each namespace what its processes show, and what gateways show its host."""
    for name in settings.namespaces:
        tokens = {RAY_TOKEN: keys.ray_token(name), RAY_HOST_TOKEN: keys.ray_host_token(name)}
        await publish_ray(api, name, tokens)


def cohort_of(
    settings: Settings, api: KubeApi, keys: Keys, environ: Mapping[str, str]
) -> Cohort | None:
    """Return how a gateway serves with the others of its installation; None: it is in no pod."""
    name, address = environ.get("POD_NAME"), environ.get("POD_IP")
    if not name or not address:
        return None
    host = f"[{address}]" if ":" in address else address
    members = KubernetesMembers(api, settings.system_namespace, PEERS_NAME)
    return Cohort(Member(name, f"{host}:{settings.port}"), members, keys.peer_token())


def leader_of(settings: Settings, api: KubeApi, environ: Mapping[str, str]) -> Leader:
    """Return a gateway's wish to lead: under its pod's name, and anew for each start."""
    own = f"{environ.get('POD_NAME') or 'outside'}-{random_prefix()}"
    return Leader(api, settings.system_namespace, own, time.monotonic, time.time)


def look_at(control: ClusterControl, moves: Moves) -> None:
    """Have the controller look at what has changed hands."""
    for place in moves.gained:
        control.gained(*place)
    for place in moves.lost:
        control.lost(*place)


async def read_keys(api: KubeApi, namespace: str) -> tuple[Keys, bytes]:
    """Return the installation's keys and that of its blobs service; made if they are missing.

    Raises:
        ProviderError: They cannot be read or made.
    """
    fresh = {**Keys.make().stored(), BLOBS_KEY: os.urandom(_KEY_BYTES)}
    stored = await ensure_keys(api, namespace, fresh)
    while BLOBS_KEY not in stored:
        await _add_key(api, namespace, fresh[BLOBS_KEY])
        stored = await ensure_keys(api, namespace, fresh)
    return Keys.read(stored), stored[BLOBS_KEY]


async def _add_key(api: KubeApi, namespace: str, key: bytes) -> None:
    """Add the key of the blobs service to a Secret from before there was one."""
    path = path_of("secrets", namespace, KEYS_SECRET)
    with translated("The gateway's keys cannot be completed"):
        found = await api.get(path)
        body = {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
            "data": {BLOBS_KEY: base64.b64encode(key).decode("ascii")},
        }
        try:
            await api.patch(path, body)
        except KubeError as error:
            if not error.is_conflict:
                raise  # Otherwise another gateway was faster: its key is everybody's.


def _judge(settings: Settings, api: KubeApi, keys: Keys) -> Judge:
    if settings.gateway_token:
        return Authority(settings.gateway_token)
    return ClusterAuthority(Reviews(api), keys, time.monotonic)


def _backing(settings: Settings, key: bytes) -> Backing | None:
    """Return where packages are kept.

    Raises:
        InvalidSpec: The setting names something that cannot be used.
    """
    url = settings.blob_url
    if url == NO_BLOBS:
        return None
    if url.partition("://")[0] in SCHEMES:
        return ObjectBlobs(url, time.time)
    if "://" in url.removeprefix("http://"):
        raise InvalidSpec(
            f"FAAS_BLOB_URL={url}: `http://HOST:PORT` of a blobs service, or one of "
            f"{', '.join(f'{scheme}://…' for scheme in SCHEMES)}."
        )
    return BlobClient(_address(settings, url), key)


def _kept_address(settings: Settings) -> str:
    """Return where the service is that keeps calls and maps."""
    url = settings.blob_url
    return _address(settings, settings.kept_url or (url if url.startswith("http://") else ""))


def _address(settings: Settings, url: str) -> str:
    address = url.removeprefix("http://").rstrip("/")
    return address or f"{BLOBS_NAME}.{settings.system_namespace}.svc:{BLOBS_PORT}"
