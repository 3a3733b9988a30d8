"""What lives in the notebook: the decorator, handles, the connection to a gateway."""
