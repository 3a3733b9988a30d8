"""The command line: exit codes, help, what is printed, and what never is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from jupyter_faas import cli
from jupyter_faas.cli.checks import file_system, look
from jupyter_faas.cli.deploy import functions_of, named_function, run_file
from jupyter_faas.cli.invoke import read_data
from jupyter_faas.client.embedded import ensure_gateway
from jupyter_faas.client.session import session
from jupyter_faas.client.state_file import (
    GatewayState,
    load_settings,
    read_state,
    write_state,
)
from jupyter_faas.core.settings import Settings, StatePaths
from jupyter_faas.core.version import VERSION
from jupyter_faas.providers.local.leftovers import marked_processes
from tests.support import is_alive, state_dir, wait_until

COMMANDS = list(cli._COMMANDS)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory of its own and no other FAAS_ setting."""
    for name in [name for name in os.environ if name.startswith("FAAS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(session, "gateway", None)
    with state_dir() as path:
        monkeypatch.setenv("FAAS_STATE_DIR", str(path))
        monkeypatch.setenv("FAAS_CONFIG", str(path / "faas.toml"))
        monkeypatch.setenv("FAAS_PRELOAD", "none")
        yield path


def a_dead_gateway(path: Path, pid: int = 999_999_999) -> None:
    gone = GatewayState(
        pid=pid,
        socket=str(path / "gateway.sock"),
        url="http://127.0.0.1:1",
        token="secret-of-this-test",
        version=VERSION,
        protocol=1,
        started_at=0.0,
    )
    write_state(StatePaths(path), gone)


# Every command


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_and_json_or_a_reason_for_none(command, capsys):
    assert cli.run([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Usage: jupyter-faas" in text
    assert "--json" in text or command in ("runner", "driver", "blobs")


def test_help_lists_every_command_with_what_it_does(capsys):
    assert cli.run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {command} " in text for command in COMMANDS)
    assert "..." not in text.partition("Commands:")[2], "no sentence is cut"


def test_a_wrong_option_is_2_and_a_sentence(capsys):
    assert cli.run(["list", "--no-such-option"]) == 2
    assert "No such option" in capsys.readouterr().err


def test_an_unknown_command_is_2(capsys):
    assert cli.run(["launch"]) == 2
    assert "launch" in capsys.readouterr().err


def test_a_bad_setting_is_2_and_names_it_without_traceback(state, monkeypatch, capsys):
    monkeypatch.setenv("FAAS_PORT", "many")
    assert cli.run(["list"]) == 2
    seen = capsys.readouterr().err
    assert "FAAS_PORT='many'" in seen
    assert "Traceback" not in seen


def test_an_error_is_a_problem_document_where_json_is_asked_for(state, monkeypatch, capsys):
    monkeypatch.setenv("FAAS_GATEWAY_URL", "ftp://somewhere")
    assert cli.run(["list", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["code"] == "invalid_spec"


def test_help_is_quick_because_it_imports_nothing_heavy():
    script = (
        "import sys; from jupyter_faas import cli; code = cli.run(['--help']);"
        "heavy = {'asyncio', 'uvloop', 'starlette', 'cloudpickle', 'IPython', 'numpy'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else code)"
    )
    done = program([sys.executable, "-c", script])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("argv", [["-m", "jupyter_faas"], ["-m", "jupyter", "faas"]])
def test_it_is_reached_as_a_module_and_through_jupyter(argv):
    if argv[1] == "jupyter":
        pytest.importorskip("jupyter_core")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = program([sys.executable, *argv, "--version"], os.environ | {"PATH": path})
    assert done.stdout == f"jupyter-faas, version {VERSION}\n", done.stderr


def test_a_reader_that_leaves_ends_it_quietly():
    done = program(["sh", "-c", f"'{sys.executable}' -m jupyter_faas --help | true"])
    assert done.stderr == ""


# Commands that need no gateway


def test_the_header_is_for_curl(state, monkeypatch, capsys):
    monkeypatch.setenv("FAAS_GATEWAY_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("FAAS_GATEWAY_TOKEN", "abc")
    assert cli.run(["auth-header"]) == 0
    assert capsys.readouterr().out == "Authorization: Bearer abc\n"
    monkeypatch.delenv("FAAS_GATEWAY_TOKEN")
    monkeypatch.setattr(session, "gateway", None)
    assert cli.run(["auth-header"]) == 1


def test_no_gateway_reachable_is_1_with_advice(state, monkeypatch, capsys):
    monkeypatch.setenv("FAAS_GATEWAY_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("FAAS_GATEWAY_TOKEN", "abc")
    assert cli.run(["list"]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put the handlers of signals back: what serves has its own until its process ends."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_gateway_of_a_cluster_needs_a_cluster(state, handlers, capsys, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(state / "none"))
    assert cli.run(["gateway", "--kubernetes"]) == 1
    assert "No cluster is configured" in capsys.readouterr().err


def test_stopping_what_does_not_run_is_no_failure(state, capsys):
    assert cli.run(["gateway", "--stop"]) == 0
    a_dead_gateway(state)
    assert cli.run(["gateway", "--stop", "--json"]) == 0
    assert '"stopped": 0' in capsys.readouterr().out


@pytest.mark.parametrize("weights", [["3"], ["a=1"], ["3=x"], ["=", "1=2"]])
def test_traffic_is_written_revision_equals_weight(state, weights, capsys):
    assert cli.run(["traffic", "f", *weights]) == 2
    assert "3=90" in capsys.readouterr().err


def test_scale_without_a_limit_says_what_to_write(state, capsys):
    assert cli.run(["scale", "f"]) == 2
    assert "--min-containers" in capsys.readouterr().err


# --data


def test_data_is_json_a_file_or_standard_input(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text('{"x": 1}')
    assert read_data("[1]") == b"[1]"
    assert read_data(f"@{tmp_path}/a.json") == b'{"x": 1}'
    with pytest.raises(click.UsageError, match="no JSON"):
        read_data("{x: 1}")
    with pytest.raises(click.UsageError, match="No such file"):
        read_data(f"@{tmp_path}/missing")


# deploy


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "cell", raising=False)
    return tmp_path / "cell.py"


def test_the_decorated_functions_of_a_file_are_found(source):
    source.write_text(
        "from jupyter_faas import serverless\n"
        "def helper(): ...\n"
        "@serverless\ndef f(): ...\n"
        "@serverless(name='other')\ndef g(): ...\n"
    )
    assert [function.name for function in functions_of(run_file(source))] == ["f", "other"]


def test_the_only_function_of_a_file_is_found_and_imported_ones_are_not_its_own(source):
    source.write_text("from os.path import join\ndef f(): return helper\nimport json as helper\n")
    assert [function.__name__ for function in functions_of(run_file(source))] == ["f"]


def test_several_plain_functions_are_a_question(source):
    source.write_text("def f(): ...\ndef g(): ...\n")
    module = run_file(source)
    with pytest.raises(click.UsageError, match=r"f, g.*FILE\.py:FUNC"):
        functions_of(module)
    assert named_function(module, "g").__name__ == "g"
    with pytest.raises(click.UsageError, match="no function 'h'"):
        named_function(module, "h")


def test_a_file_that_fails_is_told_with_its_line(source, capsys):
    source.write_text("x = 1\nx / 0\n")
    assert cli.run(["deploy", str(source)]) == 1
    assert "ZeroDivisionError in line 2" in capsys.readouterr().err
    assert cli.run(["deploy", str(source.with_suffix(".txt"))]) == 2


# doctor


def test_doctor_shows_settings_with_their_origin_and_starts_nothing(state, monkeypatch, capsys):
    monkeypatch.setenv("FAAS_PORT", "8099")
    monkeypatch.setenv("FAAS_GATEWAY_TOKEN", "secret-of-this-test")
    assert cli.run(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "FAAS_PORT" in text
    assert "not running" in text
    assert "secret-of-this-test" not in text
    assert not (state / "gateway.json").exists()


def test_doctor_speaks_json(state, capsys):
    assert cli.run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["gateway"] is None
    assert found["problems"] == []
    assert {"name", "value", "origin", "meaning"} == set(found["settings"][0])


def test_doctor_finds_what_is_wrong(state, monkeypatch, capsys):
    a_dead_gateway(state)
    state.chmod(0o755)
    monkeypatch.setenv("FAAS_WHATEVER", "1")
    assert cli.run(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "did not end by itself" in text
    assert "open to other users" in text
    assert "FAAS_WHATEVER is set and is no setting" in text
    assert "secret-of-this-test" not in text


def test_a_socket_that_would_not_fit_is_found():
    found = look(Settings(state_dir=f"/tmp/{'x' * 100}"), {})
    assert any("too long for a socket" in problem.what for problem in found.problems)


def test_the_file_system_of_a_directory_is_that_of_the_deepest_mount(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text("a / ext4 rw 0 0\nb /home nfs4 rw 0 0\nc /home/ada ext3 rw 0 0\n")
    assert file_system(Path("/home/bob/x"), mounts) == "nfs4"
    assert file_system(Path("/home/ada"), mounts) == "ext3"
    assert file_system(Path("/homes"), mounts) == "ext4"
    assert file_system(Path("/"), tmp_path / "missing") == ""


def test_purge_asks_and_then_deletes(state, monkeypatch, capsys):
    a_dead_gateway(state, pid=0)
    monkeypatch.setattr("click.confirm", lambda *_, abort: (_ for _ in ()).throw(click.Abort()))
    assert cli.run(["doctor", "--purge"]) == 130
    assert state.exists()
    assert cli.run(["doctor", "--purge", "--yes"]) == 0
    assert not state.exists()
    assert cli.run(["doctor", "--purge", "--yes"]) == 0
    state.mkdir()


# A real gateway


@pytest.fixture(scope="module")
def running() -> Iterator[Path]:
    """A state directory whose gateway the commands start, and that is ended at the end."""
    with state_dir() as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAAS_STATE_DIR", str(path))
        yield path
        pid = gateway_pid(path)
        assert command("gateway", "--stop", state=path).returncode == 0
        wait_until(lambda: not is_alive(pid))
        assert command("doctor", state=path).returncode == 0


def command(*argv: str, state: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command as a person would."""
    return program([sys.executable, "-m", "jupyter_faas", *argv], environ_of(state), stdin)


def environ_of(state: Path) -> dict[str, str]:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("FAAS_")}
    settings = {
        "STATE_DIR": str(state),
        "CONFIG": str(state / "faas.toml"),
        "PRELOAD": "none",
        "CANCEL_GRACE_S": "5",  # code that is ended has the time to say so
    }
    return environ | {f"FAAS_{name}": text for name, text in settings.items()}


def program(
    argv: list[str], environ: Mapping[str, str] = os.environ, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, check=False, env=environ, input=stdin, capture_output=True, text=True, timeout=50
    )


def gateway_pid(state: Path) -> int:
    found = read_state(StatePaths(state))
    assert found is not None
    return found.pid


@pytest.mark.e2e
class TestWithARealGateway:
    def test_the_first_command_starts_it_private_to_its_user(self, running):
        assert command("list", state=running).stdout == "Functions: none\n"
        for name in ("gateway.json", "gateway.log", "faas.db"):
            assert stat.S_IMODE((running / name).stat().st_mode) & 0o077 == 0, name
        for name in ("", "run", "gateway.sock", "blobs"):
            if (running / name).exists():
                assert stat.S_IMODE((running / name).stat().st_mode) & 0o077 == 0, name

    def test_a_second_one_is_refused(self, running):
        command("list", state=running)
        done = command("gateway", state=running)
        assert done.returncode == 3
        assert "already running" in done.stderr

    def test_a_file_is_deployed_called_scaled_rolled_back_and_deleted(self, running, tmp_path):
        source = tmp_path / "greeting.py"
        source.write_text("def greet(name, n=1):\n    print('hello')\n    return {name: n}\n")
        assert command("deploy", str(source), state=running).returncode == 0
        called = command("invoke", "greet", "--data", '{"name": "ada"}', state=running)
        assert json.loads(called.stdout) == {"ada": 1}, called.stderr
        piped = command("invoke", "greet", "-d", "-", "--json", state=running, stdin='["bob", 2]')
        document = json.loads(piped.stdout)
        assert document["result"] == {"bob": 2}
        assert document["revision"] == 1
        assert document["coldStart"] is False
        wait_until(lambda: "hello" in command("logs", "greet", state=running).stdout)
        source.write_text("def greet(name):\n    return name\n")
        assert command("deploy", f"{source}:greet", state=running).returncode == 0
        assert "revision 2: 100%" in command("traffic", "greet", state=running).stdout
        assert command("rollback", "greet", state=running).returncode == 0
        assert "revision 1: 100%" in command("traffic", "greet", state=running).stdout
        split = command("traffic", "greet", "1=9", "2=1", "--json", state=running)
        assert json.loads(split.stdout) == {"1": 9, "2": 1}
        scaled = command("scale", "greet", "--max-containers", "3", "--json", state=running)
        assert json.loads(scaled.stdout)["maxContainers"] == 3
        assert command("status", "greet", state=running).returncode == 0
        assert command("delete", "greet", state=running).returncode == 0
        gone = command("status", "greet", state=running)
        assert gone.returncode == 1
        assert "greet" in gone.stderr

    def test_interrupting_a_call_ends_the_code_and_is_130(self, running, tmp_path):
        source = tmp_path / "endless.py"
        source.write_text(
            "import time\ndef endless():\n    try:\n        print('running', flush=True)\n"
            "        time.sleep(60)\n    finally:\n        print('ended', flush=True)\n"
        )
        assert command("deploy", str(source), state=running).returncode == 0
        call = subprocess.Popen(
            [sys.executable, "-m", "jupyter_faas", "invoke", "endless"],
            env=environ_of(running),
            stderr=subprocess.PIPE,
        )
        wait_until(lambda: "running" in command("logs", "endless", state=running).stdout, 20.0)
        call.send_signal(signal.SIGINT)
        assert call.communicate(timeout=20)[1].strip() == b"", "no traceback"
        assert call.returncode == 130
        wait_until(lambda: "ended" in command("logs", "endless", state=running).stdout, 20.0)

    def test_an_error_of_the_function_is_1_and_its_text(self, running, tmp_path):
        source = tmp_path / "broken.py"
        source.write_text("def broken():\n    raise ValueError('not today')\n")
        assert command("deploy", str(source), state=running).returncode == 0
        done = command("invoke", "broken", state=running)
        assert done.returncode == 1
        assert "not today" in done.stderr

    def test_the_header_opens_the_gateway_for_curl(self, running):
        if shutil.which("curl") is None:
            pytest.skip("no curl here")
        header = command("auth-header", state=running).stdout.strip()
        url = json.loads(command("status", "--json", state=running).stdout)["gateway"]["url"]
        curl = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{url}/v1/functions"]
        assert program(curl).stdout == "401"
        assert program([*curl, "-H", header]).stdout == "200"

    def test_no_token_is_in_any_output(self, running):
        found = read_state(StatePaths(running))
        assert found is not None
        for argv in (["status"], ["status", "--json"], ["doctor"], ["doctor", "--json"], ["list"]):
            done = command(*argv, state=running)
            assert found.token not in done.stdout + done.stderr
        assert found.token not in (running / "gateway.log").read_text()


@pytest.mark.e2e
def test_an_unused_gateway_leaves_by_itself_and_leaves_nothing(state, monkeypatch):
    monkeypatch.setenv("FAAS_IDLE_EXIT_S", "1.0")
    ensure_gateway(load_settings())
    pid = gateway_pid(state)
    wait_until(lambda: not is_alive(pid), 20.0, what="it has left")
    assert gateway_pid(state) == 0
    # It may have told its end before its pid was read: then it is just ending what it started.
    wait_until(lambda: not marked_processes(state / "run"), what="nothing is left")


@pytest.mark.e2e
def test_a_gateway_whose_state_directory_was_deleted_leaves(state):
    ensure_gateway(load_settings())
    pid = gateway_pid(state)

    def is_deleted() -> bool:
        shutil.rmtree(state, ignore_errors=True)  # a replica that starts may just make a socket
        return not state.exists()

    wait_until(is_deleted)
    wait_until(lambda: not is_alive(pid), 20.0, what="it has left")
    assert marked_processes(state / "run") == []
    state.mkdir()


@pytest.mark.e2e
def test_what_a_killed_gateway_has_stored_is_told_without_starting_one(state):
    def told(*options: str) -> dict[str, Any]:
        return json.loads(command("state", *options, state=state).stdout)

    nothing = told("--stored")
    assert (nothing["functions"], nothing["revisions"], nothing["epoch"]) == ([], [], "")
    assert list(state.iterdir()) == []
    source = state / "greeting.py"
    source.write_text("def greet(name):\n    return name\n")
    assert command("deploy", str(source), state=state).returncode == 0
    assert command("invoke", "greet", "--data", '"Ada"', state=state).returncode == 0

    def told_with_more_than(used: float) -> dict[str, Any]:
        """Return what is told once the use of the last call is in it: that comes after its end."""

        def look() -> dict[str, Any] | None:
            seen = told()
            counts = seen["functions"][0]["counts"]
            return seen if counts["memoryMebibyteSeconds"] > used else None

        return wait_until(look)

    live = told_with_more_than(0)
    # Records are written a moment after they are told.
    counts = live["functions"][0]["counts"]
    wait_until(lambda: told("--stored")["functions"][0]["counts"] == counts)
    pid = gateway_pid(state)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))
    stored = told("--stored")
    assert set(stored) == set(live)
    assert stored["revisions"] == live["revisions"]
    (function,) = stored["functions"]
    assert (function["state"], function["replicaCounts"], stored["replicas"]) == ("ready", {}, [])
    assert gateway_pid(state) == pid
    before = live["functions"][0]["counts"]
    assert before["accepted"] == 1
    assert function["counts"] == before
    assert command("invoke", "greet", "--data", '"Ada"', state=state).returncode == 0
    after = told_with_more_than(before["memoryMebibyteSeconds"])["functions"][0]["counts"]
    assert after["accepted"] == 2


@pytest.mark.e2e
def test_killed_with_9_it_leaves_nothing_and_comes_back_where_it_was(state):
    before = ensure_gateway(load_settings())
    wait_until(lambda: list((state / "run").glob("*.sock")), 20.0, what="a spare replica")
    os.kill(gateway_pid(state), signal.SIGKILL)
    wait_until(lambda: not marked_processes(state / "run"), what="nothing is left")
    after = ensure_gateway(load_settings())
    assert (after.url, after.token) == (before.url, before.token)
    assert command("gateway", "--stop", state=state).returncode == 0
    assert marked_processes(state / "run") == []


@pytest.mark.e2e
def test_what_a_killed_zygote_leaves_is_ended_by_the_next_gateway(state):
    ensure_gateway(load_settings())
    wait_until(lambda: list((state / "run").glob("*.sock")), 20.0, what="a spare replica")
    zygotes = [found.pid for found in marked_processes(state / "run")][:1]
    for pid in zygotes:
        os.kill(pid, signal.SIGSTOP)
    os.kill(gateway_pid(state), signal.SIGKILL)
    ensure_gateway(load_settings())
    wait_until(lambda: not any(map(is_alive, zygotes)), what="the stopped zygote is ended")
    assert command("gateway", "--stop", state=state).returncode == 0
    assert marked_processes(state / "run") == []


def test_the_gateway_of_one_command_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAAS_GATEWAY_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(session, "gateway", None)
    assert cli.run(["--gateway", "kubernetes:nowhere", "list"]) == 2
    assert os.environ["FAAS_GATEWAY_URL"] == "http://127.0.0.1:9"
