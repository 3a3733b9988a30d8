"""The local provider, with real processes; a fake zygote where one has to misbehave."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from jupyter_faas.core.errors import InvalidSpec, ProviderError
from jupyter_faas.core.model import Place, Resources
from jupyter_faas.core.settings import Settings
from jupyter_faas.core.specialisation import Hello
from jupyter_faas.providers.base import ReplicaPending, ReplicaStarted
from jupyter_faas.providers.local.children import Child
from jupyter_faas.providers.local.environment import Environment
from jupyter_faas.providers.local.interpreter import ask_interpreter, is_same_environment
from jupyter_faas.providers.local.inventory import read_inventory
from jupyter_faas.providers.local.leftovers import end_leftovers, marked_processes
from jupyter_faas.providers.local.process import (
    Birth,
    Command,
    pythonpath_of,
    spawn_zygote,
    zygote_command,
    zygote_environ,
)
from jupyter_faas.providers.local.provider import LocalProvider, trim_log
from jupyter_faas.providers.local.run_dir import run_directory
from jupyter_faas.providers.local.site_stamp import SiteStamp
from jupyter_faas.wire.upstream import request
from tests.providers.contract import MINOR, EndsWithItsGateway, Recorder, can_connect, revision
from tests.support import is_alive, state_dir

FAKE = Path(__file__).with_name("fake_zygote.py")


def fake(*traits: str) -> Command:
    """Return the command of a zygote with these traits."""

    def command(interpreter: str, preload: Sequence[str]) -> list[str]:
        return [interpreter, str(FAKE), "3", *traits]

    return command


@pytest.fixture
def state() -> Iterator[Path]:
    with state_dir() as path:
        yield path


@pytest.fixture
async def opened(state: Path) -> AsyncIterator[Callable[..., object]]:
    """Give a function that opens a provider; each is closed at the end."""
    providers: list[LocalProvider] = []

    async def open_(*traits: str, **values: object) -> tuple[LocalProvider, Recorder]:
        settings = Settings(state_dir=str(state), **{"spare_replicas": 0, **values})
        traits = tuple(f"{trait}={state}/died" if "once" in trait else trait for trait in traits)
        provider = LocalProvider(settings, command=fake(*traits))
        await provider.open()
        providers.append(provider)
        return provider, Recorder(provider)

    yield open_
    for provider in providers:
        await provider.close()
    assert marked_processes(state / "run") == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("image", "python:3.11"),
        ("runtime_class", "gvisor"),
        ("resources", Resources(gpu="1")),
        ("node_selector", {"disk": "ssd"}),
        ("volumes", {"/data": "models"}),
        ("secrets", ("db",)),
    ],
)
def test_what_only_a_cluster_has_is_refused_with_its_name(setting, value, state):
    provider = LocalProvider(Settings(state_dir=str(state)))
    provider.check(revision().spec)
    name = "gpu" if setting == "resources" else setting
    with pytest.raises(InvalidSpec, match=f"`{name}` needs a Kubernetes gateway"):
        provider.check(msgspec.structs.replace(revision().spec, **{setting: value}))


class TestContractWithTheFakeZygote(EndsWithItsGateway):
    @pytest.fixture
    async def provider(self, state: Path) -> AsyncIterator[LocalProvider]:
        provider = LocalProvider(Settings(state_dir=str(state)), command=fake())
        await provider.open()
        yield provider
        await provider.close()


@pytest.mark.e2e
@pytest.mark.parametrize("spare_replicas", [0, 1], ids=["forked", "spare"])
class TestContractWithTheRunner(EndsWithItsGateway):
    @pytest.fixture
    async def provider(self, state: Path, spare_replicas: int) -> AsyncIterator[LocalProvider]:
        settings = Settings(state_dir=str(state), preload=(), spare_replicas=spare_replicas)
        provider = LocalProvider(settings)
        await provider.open()
        yield provider
        await provider.close()
        assert marked_processes(state / "run") == []

    async def test_a_replica_says_who_it_is(self, provider, events):
        await provider.start(revision(), ["a"])
        started = await events.started("a")
        answer = await request(started.address, "GET", "/v1/runner", timeout_s=20.0)
        hello = msgspec.json.decode(answer.body, type=Hello)
        assert answer.status == 200
        assert hello.state == "generic"
        assert hello.python.startswith(MINOR)

    async def test_a_replica_that_is_killed_is_gone_as_crashed(self, provider, events):
        await provider.start(revision(), ["a"])
        started = await events.started("a")
        os.kill(started.pid, signal.SIGKILL)
        assert (await events.gone("a")).reason == "crashed"

    async def test_with_its_zygote_everything_ends(self, provider, events):
        await provider.start(revision(), ["a"])
        started = await events.started("a")
        os.kill(zygote_of(provider), signal.SIGKILL)
        assert (await events.gone("a")).reason == "node_lost"
        await wait_for(lambda: not is_alive(started.pid))


# Spares


async def test_a_spare_is_handed_over_at_once_and_replaced(opened):
    provider, events = await opened(spare_replicas=1)
    await wait_for_sockets(provider, 1)
    await provider.start(revision(), ["a"])
    assert isinstance(await events.until(lambda event: True), ReplicaStarted), "no waiting"
    await wait_for_sockets(provider, 2)


async def test_a_spare_born_before_an_import_is_replaced_by_one_born_after(opened):
    provider, events = await opened(spare_replicas=1)
    await wait_for_sockets(provider, 1)
    before = set(provider._run_dir.glob("*.sock"))
    environment_of(provider).learn(["big", "unloadable"])

    def spares() -> list[int]:
        return [
            child.loaded
            for child in environment_of(provider)._children.spares()
            if child.is_started
        ]

    await wait_for(lambda: spares() == [1])
    await provider.start(revision(), ["a"])
    assert Path((await events.started("a")).address.removeprefix("unix:")) not in before


async def test_what_a_revision_imports_is_imported_by_the_zygote(opened):
    provider, events = await opened(spare_replicas=1)
    await provider.start(revision(modules={"big": "1"}), ["a"])
    await events.started("a")
    await wait_for(
        lambda: [child.loaded for child in environment_of(provider)._children.spares()] == [1]
    )


async def test_a_dead_spare_is_not_handed_over(opened, state):
    provider, events = await opened(spare_replicas=1)
    await wait_for_sockets(provider, 1)
    zygote = zygote_of(provider)
    os.kill(zygote, signal.SIGKILL)
    await wait_for(lambda: not is_alive(zygote))
    await provider.start(revision(), ["a"])
    assert await can_connect((await events.started("a")).address)


# When zygotes die


async def test_with_its_zygote_a_replica_is_gone_and_the_next_start_works(opened):
    provider, events = await opened()
    await provider.start(revision(), ["a"])
    await events.started("a")
    os.kill(zygote_of(provider), signal.SIGKILL)
    gone = await events.gone("a")
    assert gone.reason == "node_lost"
    assert "SIGKILL" in gone.detail
    await provider.start(revision(), ["b"])
    assert await can_connect((await events.started("b")).address)


async def test_a_zygote_that_somebody_has_stopped_goes_on(opened, monkeypatch):
    monkeypatch.setattr("jupyter_faas.providers.local.provider._HOUSEKEEPING_S", 0.05)
    provider, events = await opened()
    os.kill(zygote_of(provider), signal.SIGSTOP)
    await provider.start(revision(), ["a"])
    assert await can_connect((await events.started("a")).address)


@pytest.mark.parametrize(
    ("trait", "last_line"),
    [("dies", "this zygote cannot live"), ("dies_at_birth", "died at a birth")],
)
async def test_a_zygote_that_always_dies_is_given_up_with_its_last_words(opened, trait, last_line):
    provider, events = await opened(trait)
    await provider.start(revision(), ["a"])
    gone = await events.gone("a")
    assert gone.reason == "start_failed"
    assert last_line in gone.detail
    assert sys.executable in gone.detail


async def test_an_interpreter_without_this_package_is_told_what_to_install(opened):
    provider, events = await opened("lacks_the_package")
    await provider.start(revision(), ["a"])
    assert f"{sys.executable} -m pip install jupyter_faas" in (await events.gone("a")).detail


async def test_a_zygote_that_dies_once_is_made_again_and_nobody_is_told(opened, state):
    provider, events = await opened("dies_once")
    await provider.start(revision(), ["a"])
    assert await can_connect((await events.started("a")).address)
    assert (state / "died").exists()


async def test_a_zygote_that_does_not_stop_a_replica_is_killed(opened, monkeypatch):
    monkeypatch.setattr("jupyter_faas.providers.local.environment._STOP_WATCH_S", 0.05)
    provider, events = await opened("deaf")
    await provider.start(revision(), ["a"])
    await events.started("a")
    await provider.stop("a")
    await events.gone("a")


async def test_an_interpreter_that_is_not_there_fails_the_start_with_its_name(opened):
    provider, events = await opened()
    place = Place(interpreter="/no/such/python", cwd="/")
    await provider.start(revision(place), ["a"])
    gone = await events.gone("a")
    assert gone.reason == "start_failed"
    assert "/no/such/python" in gone.detail


# How many


async def test_beyond_the_machines_limit_a_replica_waits_and_says_so(opened):
    provider, events = await opened(max_replicas=1)
    await provider.start(revision(), ["a", "b", "c"])
    await events.started("a")
    pending = await events.until(lambda event: event.replica == "b")
    assert isinstance(pending, ReplicaPending)
    assert "FAAS_MAX_REPLICAS" in pending.reason
    await provider.stop("b")
    assert (await events.gone("b")).reason == "stopped"
    await provider.stop("a")
    await events.started("c")


# Packages


async def test_another_set_of_packages_gets_another_zygote(opened, tmp_path):
    provider, events = await opened(spare_replicas=1)
    await provider.start(revision(), ["a"])
    await events.started("a")
    before = zygote_of(provider)
    os.utime(tmp_path, (1, 1))  # what comes now has another time, however soon
    environment_of(provider).stamp = stamp = SiteStamp([str(tmp_path)])
    assert stamp.is_current()
    (tmp_path / "new_thing-1.0.dist-info").mkdir()
    await provider.start(revision(), ["b"])
    await events.started("b")
    assert zygote_of(provider) != before
    assert is_alive(before), "the replica it has made still runs"
    await provider.stop("a")
    await events.gone("a")
    await wait_for(lambda: not is_alive(before))


def test_a_stamp_sees_installs_upgrades_and_pth_edits_but_no_caches(tmp_path):
    def stamped() -> SiteStamp:
        return SiteStamp([str(tmp_path), str(tmp_path / "missing")])

    def aged() -> None:
        """Two changes right after one another may have one time, where clocks of files are slow."""
        os.utime(tmp_path, (1, 1))

    aged()
    stamp = stamped()
    (tmp_path / "__pycache__").mkdir()
    assert stamp.is_current()
    aged()
    assert stamp.is_current()
    (tmp_path / "x-1.dist-info").mkdir()
    assert not stamp.is_current()
    aged()
    stamp = stamped()
    (tmp_path / "x-1.dist-info").rename(tmp_path / "x-2.dist-info")
    assert not stamp.is_current()
    (tmp_path / "e.pth").write_text("/a")
    stamp = stamped()
    os.utime(tmp_path / "e.pth", (1, 1))
    assert not stamp.is_current()


def test_the_inventory_reads_names_versions_and_modules(tmp_path):
    for name in ("Foo_Bar-1.2.dist-info", "foo_bar", "__pycache__", "data-files"):
        (tmp_path / name).mkdir()
    (tmp_path / "single.py").touch()
    (tmp_path / "fast.cpython-311-x86_64-linux-gnu.so").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "Foo_Bar-1.2.dist-info" / "top_level.txt").write_text("declared\n")
    found = read_inventory("3.11.1", [str(tmp_path), str(tmp_path / "missing")])
    assert found.modules == {"foo-bar": "1.2"}
    assert {"foo_bar", "single", "fast", "declared", "sys"} <= set(found.top_level)
    assert not {"notes", "__pycache__", "data"} & set(found.top_level)


# Interpreters


async def test_an_interpreter_tells_its_version_and_path():
    found = await ask_interpreter(sys.executable)
    assert found.version.startswith(found.minor)
    assert any(path.endswith("site-packages") for path in found.sys_path)


async def test_what_is_no_interpreter_is_said_to_be_none(tmp_path):
    with pytest.raises(ProviderError, match="does not work"):
        await ask_interpreter("/bin/false")
    with pytest.raises(ProviderError, match="cannot be started"):
        await ask_interpreter(str(tmp_path / "python"))


def test_two_links_of_one_environment_are_one_and_two_environments_are_two(tmp_path):
    for venv, name in (("a", "python"), ("a", "python3"), ("b", "python")):
        (tmp_path / venv).mkdir(exist_ok=True)
        (tmp_path / venv / name).symlink_to(sys.executable)
    assert is_same_environment(str(tmp_path / "a/python"), str(tmp_path / "a/python3"))
    assert not is_same_environment(str(tmp_path / "a/python"), str(tmp_path / "b/python"))


def test_a_kernel_that_runs_from_a_checkout_lends_it_to_its_replicas(tmp_path):
    runner = tmp_path / "checkout/jupyter_faas/runner"
    runner.mkdir(parents=True)
    (runner / "__init__.py").touch()
    checkout = str(tmp_path / "checkout")
    assert pythonpath_of(["/nowhere", checkout]) == checkout
    installed = tmp_path / "site-packages"
    (tmp_path / "checkout").rename(installed)
    assert pythonpath_of([str(installed)]) == ""
    assert pythonpath_of([]) == ""


def test_no_secret_of_the_gateways_environment_reaches_a_zygote():
    environ = {"PATH": "/bin", "LC_ALL": "C", "AWS_SECRET": "x", "FAAS_GATEWAY_TOKEN": "y"}
    found = zygote_environ(environ, "/checkout", Path("/run"), owner=7)
    assert found["PATH"] == "/bin"
    assert found["LC_ALL"] == "C"
    assert found["PYTHONPATH"] == "/checkout"
    assert not {"AWS_SECRET", "FAAS_GATEWAY_TOKEN"} & set(found)


def test_a_zygotes_command_does_not_import_from_the_working_directory():
    argv = zygote_command("/py", ["numpy"])
    assert argv[:3] == ["/py", "-P", "-m"]
    assert argv[-2:] == ["--preload", "numpy"]


# Directories and leftovers


def test_sockets_live_in_a_private_directory(state):
    made = run_directory(state / "run", {})
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    made.chmod(0o755)
    assert stat.S_IMODE(run_directory(state / "run", {}).stat().st_mode) == 0o700


def test_a_path_too_long_for_sockets_gets_a_short_one(state):
    long = state / ("x" * 100) / "run"
    made = run_directory(long, {"XDG_RUNTIME_DIR": str(state)})
    assert made.parent == state
    assert made == run_directory(long, {"XDG_RUNTIME_DIR": str(state)})


def test_a_directory_of_somebody_else_is_refused(state):
    (state / "run").symlink_to(state)
    with pytest.raises(ProviderError, match="not a directory of this user"):
        run_directory(state / "run", {})


async def test_what_an_earlier_gateway_left_is_ended_at_the_start(state, opened):
    run = run_directory(state / "run", {})
    environ = zygote_environ({"PATH": os.environ["PATH"]}, "", run, owner=1)
    left = spawn("import os, time; os.fork(); time.sleep(60)", environ)
    (run / "stale.sock").touch()
    await wait_for(lambda: len(marked_processes(run)) == 2)
    await opened()
    reap(left)
    await wait_for(lambda: all(found.owner != 1 for found in marked_processes(run)))
    assert not (run / "stale.sock").exists()


async def test_what_a_marked_process_has_started_ends_with_it(state):
    run = run_directory(state / "run", {})
    environ = zygote_environ({"PATH": os.environ["PATH"]}, "", run, owner=1)
    script = "import subprocess; subprocess.run(['sleep', '60'], env={'PATH': '/usr/bin:/bin'})"
    left = spawn(script, environ)
    await wait_for(lambda: len(marked_processes(run)) == 2)
    child = next(found.pid for found in marked_processes(run) if found.pid != left)
    assert sorted(end_leftovers(run)) == sorted([left, child])
    reap(left)
    await wait_for(lambda: not is_alive(child))


def test_the_zygotes_log_is_bounded(tmp_path):
    log = tmp_path / "runners.log"
    trim_log(log, 100)
    log.write_bytes(b"a" * 100 + b"b" * 50)
    trim_log(log, 100)
    assert log.read_bytes() == b"b" * 50


async def test_a_zygote_started_beforehand_is_used(state):
    run = run_directory(state / "run", {})
    first = spawn_zygote(Birth(sys.executable), run, os.environ, fake())
    provider = LocalProvider(Settings(state_dir=str(state)), first=first, command=fake())
    await provider.open()
    assert zygote_of(provider) == first.pid
    await provider.close()
    assert not is_alive(first.pid)


# Small helps


def environment_of(provider: LocalProvider) -> Environment:
    (environment,) = provider._environments.values()
    return environment


def zygote_of(provider: LocalProvider) -> int:
    zygote = environment_of(provider)._zygote
    assert zygote is not None
    return zygote.pid


def spawn(script: str, environ: dict[str, str]) -> int:
    return os.posix_spawn(sys.executable, [sys.executable, "-c", script], environ, setsid=True)


def reap(pid: int) -> None:
    os.waitpid(pid, 0)


async def wait_for(predicate: Callable[[], bool], timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not predicate():  # noqa: ASYNC110 - /proc and sockets tell nobody
            await asyncio.sleep(0.005)


def unborn(provider: LocalProvider) -> list[Child]:
    children = environment_of(provider)._children._by_id.values()
    return [child for child in children if not child.is_started]


async def wait_for_sockets(provider: LocalProvider, count: int) -> None:
    run = provider._run_dir
    await wait_for(lambda: len(list(run.glob("*.sock"))) == count and not unborn(provider))
