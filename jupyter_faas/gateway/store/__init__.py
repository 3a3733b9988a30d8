"""What the gateway remembers over a crash."""
