"""`jupyter-faas install`: what it prints, and how it says that it was asked wrongly."""

from __future__ import annotations

import json
from importlib import util
from typing import Any

import pytest
import yaml

from jupyter_faas.cli import run
from jupyter_faas.core.version import VERSION


def objects_of(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    assert run(["install", *options]) == 0
    return list(yaml.safe_load_all(capsys.readouterr().out))


def test_options_reach_the_objects(capsys: pytest.CaptureFixture[str]) -> None:
    objects = objects_of(
        capsys, "--namespace", "team", "--pool", "3.12=7", "--replicas", "3", "--preload", "none"
    )
    deployments = {one["metadata"]["name"]: one for one in objects if one["kind"] == "Deployment"}
    pool = deployments["jupyter-faas-pool-py312"]
    assert (pool["metadata"]["namespace"], pool["spec"]["replicas"]) == ("team", 7)
    assert "--preload" not in pool["spec"]["template"]["spec"]["containers"][0]["command"]
    assert deployments["jupyter-faas-gateway"]["spec"]["replicas"] == 3
    assert list(deployments) == ["jupyter-faas-gateway", "jupyter-faas-pool-py312"]


def test_ray_is_written_when_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--ray", "--ray-kind", "statefulset", "--ray-min-workers", "2", "--pool", "3.12=1")
    objects = objects_of(capsys, *asked, "--ray-worker-memory", "3072")
    (head,) = (one for one in objects if one["metadata"]["name"] == "jupyter-faas-ray-head"
               and one["kind"] == "Deployment")  # fmt: skip
    container = head["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"jupyter-faas/ray:{VERSION}-py3.12"
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert (env["FAAS_RAY_MIN_WORKERS"], env["FAAS_RAY_SEAT_MIB"]) == ("2", "2560")
    clusters = objects_of(capsys, "--ray", "--ray-kind", "raycluster")
    assert [one["kind"] for one in clusters].count("RayCluster") == 1


def test_where_no_cluster_can_be_asked_ray_is_written_without_kuberay_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert run(["install", "--ray"]) == 0
    told = capsys.readouterr()
    assert "cannot be asked whether it has KubeRay" in told.err
    assert "kind: StatefulSet" in told.out
    assert "kind: RayCluster" not in told.out


def test_json_is_one_list_for_kubectl(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["install", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["kind"], listed["items"][0]["kind"]) == ("List", "Namespace")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--pool", "3.11"], "--pool 3.11: NAME=NUMBER, like --pool 3.11=4."),
        (["--pool", "3.11=1", "--pool", "3.11=2"], "--pool names 3.11 twice."),
        (["--runtime-class", "gvisor=x"], "like --runtime-class gvisor=2."),
        (["--namespace", "Team"], "--namespace Team"),
        (["--egress", "some"], "--egress"),
        (["--ray-max-workers", "0"], "--ray-min-workers 1, --ray-max-workers 0"),
        (["--ray-kind", "deployment"], "--ray-kind"),
    ],
)
def test_a_wrong_option_is_named_and_ends_with_2(
    options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["install", *options]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert told.out == ""


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_without_the_extra_a_sentence_says_how_to_get_it(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("jupyter_faas.cli.cluster_yaml.find_spec", lambda name: None)
    assert util.find_spec("yaml")
    assert run([command]) == 1
    assert "pip install 'jupyter_faas[kubernetes]'" in capsys.readouterr().err


def test_without_a_cluster_check_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert run(["install", "--check"]) == 1
    assert "No cluster is configured" in capsys.readouterr().err
