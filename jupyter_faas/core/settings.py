"""Everything that can be configured: one type, each setting with a unit, a default and a meaning.

Values come from `FAAS_*` environment variables, then `faas.toml`, then the default; where each
came from is kept for `jupyter-faas doctor`. Pure: reading the file is `client/state_file.py`'s.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.names import DEFAULT_NAMESPACE

PREFIX = "FAAS_"
MAX_SOCKET_PATH_BYTES = 107
"""Longest path of a Unix socket (unix(7): 108 with the final zero)."""
_SECRET = frozenset({"gateway_token", "ray_host_token"})


def _says(meaning: str, *, ge: float | None = None, le: float | None = None) -> msgspec.Meta:
    return msgspec.Meta(description=meaning, ge=ge, le=le)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Effective settings of one process. `Settings()` has the defaults and no `state_dir`."""

    gateway_url: Annotated[
        str,
        _says(
            "Address of the gateway, `kubernetes`, `kubernetes://CONTEXT/NAMESPACE` or `embedded`; "
            "empty: in a pod that of its cluster, else the embedded one, started on first use."
        ),
    ] = ""
    gateway_token: Annotated[str, _says("Bearer token for `gateway_url`; never printed.")] = ""
    namespace: Annotated[str, _says("Namespace that names are looked up in.")] = DEFAULT_NAMESPACE
    system_namespace: Annotated[str, _says("Namespace of a cluster in which its gateways are.")] = (
        "jupyter-faas"
    )
    state_dir: Annotated[
        str, _says("Directory of the embedded gateway: token, database, code, sockets.")
    ] = ""
    host: Annotated[str, _says("Address the gateway listens on.")] = "127.0.0.1"
    port: Annotated[
        int,
        _says("TCP port of the gateway; 0: the one it had before, or a free one.", ge=0, le=65535),
    ] = 0
    calls_port: Annotated[
        int,
        _says(
            "TCP port that takes calls only, and that replicas are told; 0: none.", ge=0, le=65535
        ),
    ] = 0
    calls_url: Annotated[
        str, _says("What replicas are told as address of the gateway; empty: where it listens.")
    ] = ""
    domain: Annotated[
        str, _says("Calls whose Host is `{function}.{domain}` go to that function; empty: off.")
    ] = ""
    url: Annotated[
        str, _says("Address that people and programs are told to call; empty: where it listens.")
    ] = ""
    namespaces: Annotated[
        tuple[str, ...],
        _says("Kubernetes namespaces in which there are functions; comma-separated."),
    ] = (DEFAULT_NAMESPACE,)
    cluster_domain: Annotated[
        str, _says("DNS domain of the Kubernetes cluster, for the Services of functions.")
    ] = "cluster.local"
    blob_url: Annotated[
        str,
        _says(
            "Where packages are kept for all gateways, and calls and maps: `s3://BUCKET/PREFIX` "
            "(or gs, az, file), `http://HOST:PORT` of a blobs service, or `none`; empty: the "
            "service in `system_namespace`."
        ),
    ] = ""
    kept_url: Annotated[
        str,
        _says(
            "`http://HOST:PORT` of the blobs service that keeps calls and maps; empty: the one of "
            "`blob_url`, else that in `system_namespace`."
        ),
    ] = ""
    blobs_key_file: Annotated[
        str, _says("File with the key that gateways show the blobs service.")
    ] = ""
    max_body_bytes: Annotated[
        int, _says("Largest body of a call or a package the gateway accepts.", ge=1024)
    ] = 1 << 30
    queue_limit_per_function: Annotated[
        int, _says("Calls that may wait for a replica of one function.", ge=1)
    ] = 1_000
    queue_limit: Annotated[
        int, _says("Calls that may wait for a replica, all functions together.", ge=1)
    ] = 10_000
    connect_timeout_s: Annotated[
        float, _says("How long a client tries to reach a gateway.", ge=0.01)
    ] = 5.0
    start_timeout_s: Annotated[
        float, _says("How long a client waits for the embedded gateway to start.", ge=0.1)
    ] = 20.0
    idle_exit_s: Annotated[
        float, _says("Unused for so long, the embedded gateway exits; 0: never.", ge=0)
    ] = 900.0
    max_replicas: Annotated[
        int, _says("Replicas of all functions together on this machine.", ge=1)
    ] = 200
    spare_replicas: Annotated[
        int, _says("Generic replicas kept ready per Python environment.", ge=0, le=64)
    ] = 1
    preload: Annotated[
        tuple[str, ...],
        _says("Modules each replica is born with, if installed; comma-separated, or `none`."),
    ] = ("numpy", "pandas")
    drain_grace_s: Annotated[
        float, _says("A replica that stops may finish its calls for so long.", ge=0)
    ] = 30.0
    leave_quiet_s: Annotated[
        float,
        _says(
            "A gateway that leaves others does so when nothing has come for so long.", ge=0, le=600
        ),
    ] = 1.0
    leave_grace_s: Annotated[
        float, _says("After that its calls in flight may take so long.", ge=0)
    ] = 310.0
    stop_grace_s: Annotated[
        float, _says("Between SIGTERM and SIGKILL when everything stops.", ge=0)
    ] = 2.0
    cancel_grace_s: Annotated[
        float, _says("Between KeyboardInterrupt and kill when user code is ended.", ge=0)
    ] = 0.15
    stable_window_s: Annotated[
        float, _says("Window of mean concurrency that decides the number of replicas.", ge=1)
    ] = 60.0
    panic_window_s: Annotated[
        float, _says("Shorter window that may only raise that number.", ge=0.1)
    ] = 6.0
    log_ring_bytes: Annotated[int, _says("Output kept in memory per replica.", ge=1024)] = (
        256 * 1024
    )
    log_file_bytes: Annotated[
        int, _says("Largest size of the gateway's own log files.", ge=4096)
    ] = 4 * 1024 * 1024
    invocation_retention: Annotated[
        int, _says("Ended invocations whose records are kept.", ge=0)
    ] = 10_000
    kept_answer_s: Annotated[
        float, _says("The answer of a spawned call is kept for so long after its end.", ge=1)
    ] = 86_400.0
    ray_address: Annotated[
        str,
        _says(
            "A Ray cluster for maps that runs already (`HOST:PORT` of its head), with this package "
            "where its workers run; empty: one is started when needed."
        ),
    ] = ""
    ray_host: Annotated[
        str,
        _says(
            "`HOST:PORT` of what serves the seats of a Ray cluster; `{namespace}` in it is that of "
            "the function. Empty: the gateway starts its own, on Kubernetes it has none."
        ),
    ] = ""
    ray_host_token: Annotated[str, _says("What `ray_host` wants to be shown; never printed.")] = ""
    ray_cpus: Annotated[int, _says("CPUs that maps may use on Ray; 0: all.", ge=0)] = 0
    ray_memory_bytes: Annotated[
        int, _says("Size of Ray's object store; 0: the least that Ray takes.", ge=0)
    ] = 0
    ray_warm: Annotated[
        bool, _says("Start Ray with the gateway instead of with the first long map.")
    ] = False
    map_retention_s: Annotated[
        float, _says("How long inputs and results of an ended `spawn_map` are kept.", ge=0)
    ] = 7 * 86_400.0
    revision_retention: Annotated[
        int, _says("Newest revisions of a function that are kept.", ge=1)
    ] = 10
    event_retention: Annotated[int, _says("Events kept for readers that reconnect.", ge=1)] = 10_000

    @classmethod
    def load(cls, environ: Mapping[str, str], toml_text: str = "") -> tuple[Settings, Origins]:
        """Return the effective settings and where each came from.

        Args:
            environ: Environment variables; only `FAAS_*`, `HOME` and `XDG_*` are read.
            toml_text: Contents of `faas.toml`; keys are the names of the settings.

        Raises:
            InvalidSpec: A value cannot be used, `faas.toml` cannot be read or has an unknown
                key, or a variable looks like a misspelt setting.
        """
        from_file = _from_toml(toml_text)
        from_environ = _from_environ(environ)
        values = {"state_dir": default_state_dir(environ), **from_file, **from_environ}
        values["state_dir"] = _absolute(str(values["state_dir"]), environ)
        origins = {name: "default" for name in cls.__struct_fields__}
        origins |= dict.fromkeys(from_file, "faas.toml")
        origins |= {name: PREFIX + name.upper() for name in from_environ}
        return cls(**values), origins

    def __repr__(self) -> str:
        changed = (
            f"{name}={'***' if name in _SECRET else repr(getattr(self, name))}"
            for name in self.__struct_fields__
            if getattr(self, name) != getattr(_DEFAULTS, name)
        )
        return f"Settings({', '.join(changed)})"


Origins = dict[str, str]
"""Name of a setting → `default`, `faas.toml` or the variable that set it."""

_DEFAULTS = Settings()
_TYPES = {field.name: field.type for field in msgspec.structs.fields(Settings)}


class StatePaths:
    """Where the files of one state directory are. Nothing is created here.

    Args:
        state_dir: Absolute; `Settings.load` makes it so.

    Raises:
        InvalidSpec: `state_dir` is empty or relative.
    """

    def __init__(self, state_dir: str | Path) -> None:
        root = Path(state_dir)
        if not root.is_absolute():
            raise InvalidSpec(f"state_dir={str(state_dir)!r} must be an absolute path.")
        self.root = root
        self.state_file = root / "gateway.json"
        self.lock = root / "gateway.lock"
        self.log = root / "gateway.log"
        self.socket = root / "gateway.sock"
        self.database = root / "faas.db"
        self.blobs = root / "blobs"
        self.run = root / "run"
        self.maps = root / "maps"


def config_path(environ: Mapping[str, str]) -> Path:
    """Return where `faas.toml` is looked for: `FAAS_CONFIG`, or the XDG config directory."""
    if environ.get("FAAS_CONFIG"):
        return Path(environ["FAAS_CONFIG"])
    home = environ.get("HOME", "/")
    return Path(environ.get("XDG_CONFIG_HOME") or f"{home}/.config") / "jupyter_faas/faas.toml"


def default_state_dir(environ: Mapping[str, str]) -> str:
    """Return the state directory of a user who has chosen none (XDG base directories)."""
    home = environ.get("HOME", "/")
    return f"{environ.get('XDG_STATE_HOME') or f'{home}/.local/state'}/jupyter_faas"


def describe(settings: Settings, origins: Origins) -> list[tuple[str, str, str, str]]:
    """Return `(name, value, origin, meaning)` of each setting, for people; tokens are masked."""
    return [
        (name, _shown(name, getattr(settings, name)), origins.get(name, "default"), meaning(name))
        for name in settings.__struct_fields__
    ]


def meaning(name: str) -> str:
    """Return the one-line meaning of a setting."""
    marks = [mark for mark in get_args(_TYPES[name]) if isinstance(mark, msgspec.Meta)]
    return next((mark.description for mark in marks if mark.description), "")


def _shown(name: str, value: object) -> str:
    if name in _SECRET:
        return "(set)" if value else ""
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _from_toml(text: str) -> dict[str, Any]:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSpec(f"faas.toml cannot be read: {error}") from error
    for key in found:
        if key not in _TYPES:
            raise InvalidSpec(
                f"faas.toml: there is no setting {key!r}{_did_you_mean(key, _TYPES)}."
            )
    return {key: _convert(f"{key} in faas.toml", key, value) for key, value in found.items()}


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, text in environ.items():
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX):
            continue
        if name in _TYPES:
            if text:
                found[name] = _convert(variable, name, text)
        # Other programs may use the prefix; only what is nearly one of ours is an error.
        elif hint := _did_you_mean(variable, [PREFIX + known.upper() for known in _TYPES]):
            raise InvalidSpec(f"{variable} is no setting{hint}.")
    return found


def _convert(label: str, name: str, value: object) -> Any:
    kind = _TYPES[name]
    if isinstance(value, str) and name in ("preload", "namespaces"):
        # An empty variable means unset, so "nothing" needs a word.
        value = [part for part in value.replace(" ", "").split(",") if part not in ("", "none")]
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        shown = "***" if name in _SECRET else repr(value)
        raise InvalidSpec(f"{label}={shown} cannot be used: {error}. {meaning(name)}") from None


def _absolute(path: str, environ: Mapping[str, str]) -> str:
    if path == "~" or path.startswith("~/"):
        path = environ.get("HOME", "/") + path[1:]
    if not path.startswith("/"):
        raise InvalidSpec(f"state_dir={path!r} must be an absolute path.")
    return path.rstrip("/") or "/"


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.85)
    return f"; did you mean {near[0]!r}?" if near else ""
