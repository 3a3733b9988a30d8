from __future__ import annotations

from jupyter_faas.core.ownership import Member
from jupyter_faas.providers.kubernetes.api import WatchEvent
from jupyter_faas.providers.kubernetes.members import KubernetesMembers, members_of


def endpoint(name: str, address: str, **conditions: bool) -> dict:
    return {"addresses": [address], "targetRef": {"name": name}, "conditions": conditions}


def slice_of(name: str, *endpoints: dict, port: int | None = 8080, kind: str = "IPv4") -> dict:
    ports = [{"name": "http", "port": port}] if port else []
    return {
        "metadata": {"name": name},
        "addressType": kind,
        "ports": ports,
        "endpoints": list(endpoints),
    }


def test_pods_that_end_are_no_members_and_those_not_ready_are():
    found = members_of(
        slice_of(
            "s",
            endpoint("a", "10.0.0.1", ready=True, serving=True, terminating=False),
            endpoint("b", "10.0.0.2", ready=True, serving=True, terminating=True),
            endpoint("c", "10.0.0.3", ready=False, serving=False),
            {"addresses": ["10.0.0.4"]},
            port=8085,
        )
    )
    assert found == [Member("a", "10.0.0.1:8085"), Member("c", "10.0.0.3:8085")]


def test_addresses_of_the_other_kind_are_written_so_that_a_port_can_follow():
    found = members_of(slice_of("s", endpoint("a", "fd00::1"), port=None, kind="IPv6"))
    assert found == [Member("a", "[fd00::1]:8080")]
    assert members_of({"metadata": {"name": "s"}, "endpoints": None}) == []


class Api:
    """Watch events as the API server would send them."""

    def __init__(self, *events: tuple[str, dict]) -> None:
        self.events = events

    async def watch(self, path: str, **query: str):
        assert path.endswith("/namespaces/sys/endpointslices")
        assert query == {"labelSelector": "kubernetes.io/service-name=peers"}
        for kind, value in self.events:
            yield WatchEvent(kind, value)


async def test_members_are_told_whole_and_only_when_they_have_changed():
    a, b, c = (endpoint(name, f"10.0.0.{n}") for n, name in enumerate("abc"))
    api = Api(
        ("ADDED", slice_of("one", a)),
        ("ADDED", slice_of("two", b)),
        ("SYNCED", {}),
        ("MODIFIED", slice_of("one", a)),  # nothing new
        ("MODIFIED", slice_of("one", a, c)),
        ("DELETED", slice_of("two", b)),
        ("ADDED", slice_of("three", b)),
        # A break: what is not told again is gone.
        ("SYNCED", {}),
        ("ADDED", slice_of("three", b)),
        ("SYNCED", {}),
    )
    told = [
        [member.id for member in members]
        async for members in KubernetesMembers(api, "sys", "peers").watch()
    ]
    assert told == [["a", "b"], ["a", "b", "c"], ["a", "c"], ["a", "b", "c"], ["b"]]
