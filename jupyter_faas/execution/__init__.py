"""Load a package, run a call, catch its output and errors, end it in time."""
