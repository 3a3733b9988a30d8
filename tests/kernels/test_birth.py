"""Which kernels can be forked, and which of them share a zygote."""

import pytest

from jupyter_faas.kernels.birth import (
    NotForkable,
    birth_of,
    environ_after_fork,
    kernel_environ,
    plain_command,
    split,
)

COMMAND = ["/usr/bin/python3", "-m", "ipykernel_launcher", "-f", "/run/k.json"]


def test_kernels_share_a_zygote_whatever_else_their_environment_holds() -> None:
    one = birth_of(COMMAND, {"HOME": "/home/ada", "JPY_SESSION_NAME": "a", "KEY": "1"}, ["env"])
    other = birth_of(COMMAND, {"HOME": "/home/ada", "JPY_SESSION_NAME": "b"}, ["env", "cwd"])
    assert one == other
    assert dict(one.environ) == {"HOME": "/home/ada"}


@pytest.mark.parametrize(
    "name", ["PYTHONPATH", "LD_PRELOAD", "LC_ALL", "LANG", "HOME", "IPYTHONDIR", "PYDEVD_DEBUG"]
)
def test_what_is_read_only_at_the_start_makes_another_zygote(name: str) -> None:
    assert birth_of(COMMAND, {name: "/x"}, []) != birth_of(COMMAND, {name: "/y"}, [])


def test_flags_of_the_interpreter_are_the_zygotes() -> None:
    command = [COMMAND[0], "-X", "frozen_modules=off", *COMMAND[1:]]
    assert birth_of(command, {}, []).flags == ("-X", "frozen_modules=off")
    assert split(command)[2] == ["-f", "/run/k.json"]


def test_the_zygote_of_a_server_that_is_a_kernel_itself_has_no_parent_to_watch() -> None:
    assert birth_of(COMMAND, {"JPY_PARENT_PID": "7"}, []).environ == ()
    assert kernel_environ({"JPY_PARENT_PID": "7", "A": "b"}, 8) == {"JPY_PARENT_PID": "8", "A": "b"}


@pytest.mark.parametrize(
    ("command", "environ", "options", "why"),
    [
        (["/usr/bin/R", "--slave"], {}, [], "is not `python -m ipykernel_launcher`"),
        (["/usr/bin/python3", "-m", "xpython_launcher"], {}, [], "is not `python -m"),
        (["python3", *COMMAND[1:]], {}, [], "not an absolute path"),
        (COMMAND, {"PYTHONPATH": "/a:lib"}, [], "PYTHONPATH has an entry"),
        (COMMAND, {}, ["env", "independent", "preexec_fn"], "independent, preexec_fn is asked for"),
    ],
)
def test_what_a_fork_cannot_give_is_refused_with_the_reason(
    command: list[str], environ: dict[str, str], options: list[str], why: str
) -> None:
    with pytest.raises(NotForkable, match=why):
        birth_of(command, environ, options)


def test_a_plain_start_says_why_in_its_banner() -> None:
    assert plain_command(COMMAND, "it rains") == [
        *COMMAND,
        "--InteractiveShell.banner2=This kernel was started plainly, not forked: it rains.\n",
    ]


def test_a_command_that_is_no_ipykernel_is_left_as_it_is() -> None:
    assert plain_command(["/usr/bin/R", "--slave"], "it rains") == ["/usr/bin/R", "--slave"]


def test_a_kernel_has_what_imports_have_set_and_else_what_was_asked_for() -> None:
    zygote = {"LANG": "C", "LC_CTYPE": "C.UTF-8", "PYDEVD_USE_FRAME_EVAL": "NO", "KEY": "import's"}
    asked = {"LANG": "C", "PYDEVD_USE_FRAME_EVAL": "YES", "KEY": "mine"}
    assert environ_after_fork(zygote, asked) == {
        "LANG": "C",
        "LC_CTYPE": "C.UTF-8",
        "PYDEVD_USE_FRAME_EVAL": "NO",
        "KEY": "mine",
    }
