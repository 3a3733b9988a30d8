"""Maps over many inputs: a driver process beside the gateway, and where it sends chunks."""
