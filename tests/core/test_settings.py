"""Settings: where values come from, what is refused, what is never shown."""

from __future__ import annotations

import pytest

from jupyter_faas.core.errors import InvalidSpec
from jupyter_faas.core.settings import (
    Settings,
    StatePaths,
    config_path,
    default_state_dir,
    describe,
    meaning,
)

HOME = {"HOME": "/home/ada"}


def test_without_anything_set_each_value_is_its_default():
    settings, origins = Settings.load(HOME)
    assert settings.host == "127.0.0.1"
    assert settings.state_dir == "/home/ada/.local/state/jupyter_faas"
    assert set(origins.values()) == {"default"}


def test_the_environment_beats_the_file_and_the_file_the_default():
    settings, origins = Settings.load(
        HOME | {"FAAS_PORT": "8080"}, 'port = 9090\nqueue_limit = 5\npreload = ["numpy"]'
    )
    assert (settings.port, settings.queue_limit, settings.preload) == (8080, 5, ("numpy",))
    assert origins["port"] == "FAAS_PORT"
    assert origins["queue_limit"] == "faas.toml"
    assert origins["host"] == "default"


def test_an_empty_variable_is_no_value():
    settings, origins = Settings.load(HOME | {"FAAS_PORT": ""}, "port = 9090")
    assert settings.port == 9090
    assert origins["port"] == "faas.toml"


@pytest.mark.parametrize(
    ("environ", "toml", "named"),
    [
        ({"FAAS_PORT": "many"}, "", "FAAS_PORT='many'"),
        ({"FAAS_PORT": "70000"}, "", "65535"),
        ({"FAAS_IDLE_EXIT_S": "-1"}, "", "FAAS_IDLE_EXIT_S"),
        ({"FAAS_STATE_DIR": "here"}, "", "absolute"),
        ({"FAAS_GATEWAY_UR": "http://x"}, "", "did you mean 'FAAS_GATEWAY_URL'"),
        ({}, "prot = 1", "no setting 'prot'"),
        ({}, "idle_exit = 1", "did you mean 'idle_exit_s'"),
        ({}, "port = [1]", "port in faas.toml"),
        ({}, "port = ", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_named(environ, toml, named):
    with pytest.raises(InvalidSpec) as caught:
        Settings.load(HOME | environ, toml)
    assert named in str(caught.value)


def test_a_variable_of_another_program_is_left_alone():
    settings, _ = Settings.load(HOME | {"FAAS_SOMETHING_ELSE_ENTIRELY": "1"})
    assert settings == Settings.load(HOME)[0]


def test_lists_and_the_home_directory_are_understood():
    settings, _ = Settings.load(HOME | {"FAAS_PRELOAD": "numpy, scipy", "FAAS_STATE_DIR": "~/f/"})
    assert settings.preload == ("numpy", "scipy")
    assert settings.state_dir == "/home/ada/f"
    assert Settings.load(HOME | {"FAAS_PRELOAD": "none"})[0].preload == ()


def test_no_token_is_ever_shown():
    settings, origins = Settings.load(HOME | {"FAAS_GATEWAY_TOKEN": "tell-no-one"})
    assert settings.gateway_token == "tell-no-one"
    shown = repr(settings) + str(settings) + str(describe(settings, origins))
    assert "tell-no-one" not in shown
    assert "(set)" in shown


def test_every_setting_has_a_meaning_and_says_its_unit():
    for name in Settings.__struct_fields__:
        assert meaning(name).endswith("."), name
    timed = [name for name in Settings.__struct_fields__ if "timeout" in name or "grace" in name]
    assert all(name.endswith("_s") for name in timed)


def test_paths_follow_the_xdg_directories():
    environ = HOME | {"XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c"}
    assert default_state_dir(environ) == "/s/jupyter_faas"
    assert str(config_path(environ)) == "/c/jupyter_faas/faas.toml"
    assert str(config_path(HOME)) == "/home/ada/.config/jupyter_faas/faas.toml"
    assert str(config_path({"FAAS_CONFIG": "/x.toml"})) == "/x.toml"


def test_state_paths_need_an_absolute_directory():
    assert str(StatePaths("/s").state_file) == "/s/gateway.json"
    with pytest.raises(InvalidSpec):
        StatePaths("")
