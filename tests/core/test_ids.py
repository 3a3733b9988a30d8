from __future__ import annotations

from jupyter_faas.core.ids import InvocationIds, gateway_of, random_id, random_prefix
from jupyter_faas.core.names import is_invocation_id


def test_ids_of_a_process_differ_and_name_it():
    ids = InvocationIds("gwabc")
    made = [ids.next().decode() for _ in range(300)]
    assert len(set(made)) == 300
    assert {gateway_of(one) for one in made} == {"gwabc"}


def test_made_ids_are_ids_a_caller_could_choose():
    assert is_invocation_id(InvocationIds(random_prefix()).next().decode())
    assert is_invocation_id(random_id("r"))


def test_prefixes_are_random():
    assert len({random_prefix() for _ in range(100)}) == 100
