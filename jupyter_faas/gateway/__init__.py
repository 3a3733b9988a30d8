"""The front door: data plane, registry, activator, autoscaler, control API."""
