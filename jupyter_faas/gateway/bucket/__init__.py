"""What is kept of calls and maps, in an object store: a log, snapshots of it, and large bodies."""
