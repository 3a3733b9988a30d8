"""What Kubernetes says, in plain words. Its sentences are as a real cluster (1.37) said them."""

from __future__ import annotations

import pytest

from jupyter_faas.providers.kubernetes.api import KubeError
from jupyter_faas.providers.kubernetes.nodes import largest, read_nodes
from jupyter_faas.providers.kubernetes.quantity import amount, number_of
from jupyter_faas.providers.kubernetes.trouble import (
    Node,
    container_trouble,
    event_trouble,
    refusal,
    schedule_trouble,
)

GIB = 2.0**30
NODES = [
    Node("a", {"disk": "ssd"}, {"cpu": 2.0, "memory": 4 * GIB}, {"cpu": 0.3, "memory": GIB}),
    Node("b", {}, {"cpu": 1.0, "memory": 8 * GIB}, {"cpu": 0.1, "memory": 2 * GIB}),
]
NO_HELP = " preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."


@pytest.mark.parametrize(
    ("message", "requests", "selector", "code", "text", "is_final"),
    [
        (
            "0/2 nodes are available: 2 Insufficient cpu." + NO_HELP,
            {"cpu": 64.0},
            {},
            "Unschedulable",
            "no node has 64 CPUs free; largest is 2",
            True,
        ),
        (
            "0/2 nodes are available: 2 Insufficient cpu.",
            {"cpu": 1.5},
            {},
            "Unschedulable",
            "no node has 1.5 CPUs free now; most is 0.3",
            False,
        ),
        (
            "0/2 nodes are available: 2 Insufficient memory.",
            {"cpu": 0.1, "memory": 64 * GIB},
            {},
            "Unschedulable",
            "no node has 64 GiB of memory free; largest is 8 GiB",
            True,
        ),
        (
            "0/2 nodes are available: 2 Insufficient nvidia.com/gpu." + NO_HELP,
            {"nvidia.com/gpu": 1.0},
            {},
            "Unschedulable",
            "no node has 1 nvidia.com/gpu free; no node has any",
            True,
        ),
        (
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
            {},
            {"disk": "tape", "zone": "b"},
            "Unschedulable",
            "no node has the label disk=tape, zone=b",
            True,
        ),
        (
            '0/2 nodes are available: persistentvolumeclaim "data" not found. not found',
            {},
            {},
            "VolumeClaimMissing",
            "there is no volume claim `data` in this namespace",
            True,
        ),
        (
            "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
            {},
            {},
            "VolumeUnbound",
            "its volume claim has got no volume yet",
            False,
        ),
        (
            "0/2 nodes are available: 2 node(s) had untolerated taint {a: b}.",
            {},
            {},
            "Unschedulable",
            "the nodes with room are reserved for other work (taints)",
            False,
        ),
        (
            "0/2 nodes are available: 2 Too many pods.",
            {},
            {},
            "Unschedulable",
            "every node runs as many pods as it may",
            False,
        ),
        (
            "0/2 nodes are available: 2 something new.",
            {},
            {},
            "Unschedulable",
            "no node takes it: 2 something new",
            False,
        ),
    ],
)
def test_why_no_node_takes_a_pod(message, requests, selector, code, text, is_final):
    found = schedule_trouble(message, requests, selector, NODES)
    assert (found.code, found.text, found.is_final) == (code, text, is_final)


def test_only_nodes_with_the_labels_count():
    found = schedule_trouble("1 Insufficient memory", {"memory": 6 * GIB}, {"disk": "ssd"}, NODES)
    assert found.text == "no node has 6 GiB of memory free; largest is 4 GiB"


@pytest.mark.parametrize(("end", "is_final"), [("", False), (NO_HELP, True)])
def test_without_knowing_the_nodes_the_scheduler_says_whether_waiting_may_help(end, is_final):
    message = "0/2 nodes are available: 2 Insufficient cpu." + end
    found = schedule_trouble(message, {"cpu": 64.0}, {}, [])
    assert (found.text, found.is_final) == ("no node has 64 CPUs free", is_final)


@pytest.mark.parametrize(
    ("reason", "message", "code", "words"),
    [
        (
            "ErrImagePull",
            'failed to pull and unpack image "x": failed to resolve image: failed to do request: '
            'Head "https://x/v2/n/manifests/1": dial tcp: lookup x on 1.2.3.4:53: no such host',
            "ImagePullFailed",
            "`some/image:1` cannot be pulled: its registry cannot be reached",
        ),
        (
            "ImagePullBackOff",
            'Back-off pulling image "x": ErrImagePull: rpc error: x: not found',
            "ImagePullFailed",
            "there is no such image",
        ),
        (
            "ErrImagePull",
            "pull access denied, repository does not exist or may require authorization",
            "ImagePullFailed",
            "there is no such image",
        ),
        ("ErrImagePull", "401 Unauthorized", "ImagePullFailed", "its registry refuses access"),
        ("InvalidImageName", "couldn't parse", "ImagePullFailed", "a name that no image can have"),
        ("ErrImageNeverPull", "", "ImagePullFailed", "may not be pulled"),
        ("CreateContainerConfigError", 'secret "s" not found', "SecretMissing", "`s`"),
        (
            "CreateContainerConfigError",
            'configmap "jupyter-faas-trust" not found',
            "NotInstalled",
            "not prepared for functions",
        ),
        (
            "CreateContainerConfigError",
            "Error: container has runAsNonRoot and image will run as root",
            "ImageRunsAsRoot",
            "runs as root",
        ),
        ("CreateContainerConfigError", "something else", "Config", "something else"),
        (
            "RunContainerError",
            'exec: "python": executable file not found in $PATH',
            "ImageBroken",
            "executable file not found",
        ),
    ],
)
def test_why_a_container_does_not_start(reason, message, code, words):
    state = {"waiting": {"reason": reason, "message": message}}
    found = container_trouble({"image": "some/image:1", "state": state})
    assert found is not None
    assert (found.code, found.is_final) == (code, True)
    assert words in found.text


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", "CrashLoopBackOff"])
def test_a_container_that_takes_its_time_has_no_trouble(reason):
    assert container_trouble({"state": {"waiting": {"reason": reason}}}) is None


@pytest.mark.parametrize(
    ("status", "message", "code", "words"),
    [
        (
            403,
            'pods "r" is forbidden: exceeded quota: tight, requested: pods=1, used: pods=4, '
            "limited: pods=4",
            "QuotaExceeded",
            "the quota `tight` of namespace `ns` is used up: pods=4 of pods=4 used, pods=1 more",
        ),
        (
            403,
            'pods "r" is forbidden: failed quota: q: must specify limits.cpu for: runner',
            "QuotaExceeded",
            "must specify limits.cpu",
        ),
        (
            403,
            'pods "r" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
            "PodSecurity",
            "`restricted` forbids it: runAsNonRoot",
        ),
        (
            403,
            'pods "runtime" is forbidden: pod rejected: RuntimeClass "kata" not found',
            "RuntimeClassMissing",
            "there is no runtime class `kata`",
        ),
        (
            403,
            'admission webhook "policy.example.org" denied the request: no latest tags',
            "Refused",
            "policy.example.org refuses it: no latest tags",
        ),
        (
            403,
            'pods "r" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
            "LimitRange",
            "maximum memory usage",
        ),
        (
            403,
            'pods is forbidden: User "gw" cannot create resource "pods" in API group ""',
            "Forbidden",
            "the gateway has no right",
        ),
        (404, 'namespaces "ns" not found', "NamespaceMissing", "`ns`"),
        (422, "Pod is invalid: spec.x: Required value", "Refused", "Required value"),
    ],
)
def test_why_the_api_server_does_not_take_a_pod(status, message, code, words):
    found = refusal(KubeError(status, "", message), "ns")
    assert found.code == code
    assert words in found.text


def test_an_api_server_that_is_away_is_no_final_word():
    assert not refusal(KubeError(0, "Unreachable", "away"), "ns").is_final


@pytest.mark.parametrize(
    ("reason", "message", "code"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "v" : no such disk', "VolumeFailed"),
        ("FailedMount", "timed out waiting for the condition", "VolumeFailed"),
        (
            "FailedCreatePodSandBox",
            'rpc error: no runtime for "kata" is configured',
            "RuntimeClassBroken",
        ),
        ("FailedCreatePodSandBox", "network is not ready", "SandboxFailed"),
        ("Pulling", "Pulling image", None),
    ],
)
def test_what_events_tell(reason, message, code):
    found = event_trouble(reason, message)
    assert (found.code if found else None) == code


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("100m", 0.1), ("2", 2.0), ("64Mi", 64 * 2.0**20), ("1Gi", GIB), ("1e3", 1000.0), ("1k", 1e3),
     ("", 0.0), ("lots", 0.0), ("1Xi", 0.0), ("1..2", 0.0), (3, 3.0)],
)  # fmt: skip
def test_quantities(quantity, number):
    assert number_of(quantity) == pytest.approx(number)


def test_amounts_in_words():
    assert amount("cpu", 1) == "1 CPU"
    assert amount("cpu", 0.25) == "0.25 CPUs"
    assert amount("memory", 512 * 2.0**20) == "512 MiB of memory"
    assert amount("memory", 2 * 2.0**40) == "2 TiB of memory"
    assert amount("ephemeral-storage", GIB) == "1 GiB of disk"
    assert amount("nvidia.com/gpu", 2) == "2 nvidia.com/gpu"


def test_what_is_free_on_nodes():
    def node(name: str, **spec: object) -> dict:
        return {
            "metadata": {"name": name},
            "spec": spec,
            "status": {"allocatable": {"cpu": "2", "memory": "4Gi"}},
        }

    pods = [
        {
            "spec": {
                "nodeName": "a",
                "containers": [{"resources": {"requests": {"cpu": "500m"}}}, {}],
            }
        },
        {"spec": {"containers": [{}]}},
    ]
    nodes = [node("a"), node("b"), node("cordoned", unschedulable=True)]
    found = read_nodes(nodes, pods)
    assert [one.name for one in found] == ["a", "b"]
    assert found[0].free == {"cpu": 1.5, "memory": 4 * GIB}
    assert largest(found) == {"cpu": 2.0, "memory": 4 * GIB}
    assert [one.free for one in read_nodes(nodes, None)] == [None, None]
