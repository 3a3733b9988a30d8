"""Which functions can run on Ray. Pure."""

from __future__ import annotations

from jupyter_faas.core.model import RevisionSpec


def why_not_ray(spec: RevisionSpec) -> str:
    """Return why a function does not run on Ray, as a sentence; empty: it does.

    Replicas on Ray are forked on its nodes, beside those of other functions: they have no pod of
    their own, so nothing that only a pod can be given, and secrets would be their neighbours' too.
    """
    asked = {
        "image": spec.image,
        "runtime_class": spec.runtime_class,
        "secrets": spec.secrets,
        "volumes": spec.volumes,
        "node_selector": spec.node_selector,
        "gpu": spec.resources.gpu,
    }
    names = [name for name, value in asked.items() if value]
    if not names:
        return ""
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"the function asks for {listed}, which replicas on Ray cannot have."
