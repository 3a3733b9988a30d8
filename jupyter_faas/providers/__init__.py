"""Where replicas live."""
