"""What the processes speak: HTTP/1.1 both sides, frames, events, tokens."""
