"""A no-op behind Ray Serve, as its documentation has it. Run by bench/ray_serve.py."""

from __future__ import annotations

import sys

import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=64)
class Noop:
    """Answers with what it was sent."""

    async def __call__(self, request: Request) -> object:
        """Read the body as JSON, give it back."""
        return await request.json()


if __name__ == "__main__":
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Noop.bind(), route_prefix="/")
    print("ready", flush=True)
    sys.stdin.read()  # until the benchmark closes its end
    ray.shutdown()
