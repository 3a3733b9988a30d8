"""Maps on Ray: a host process that owns Ray, seats on its nodes, and the backend that uses them."""
