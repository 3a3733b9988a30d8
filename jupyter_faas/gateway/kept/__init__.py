"""Calls that are kept: accepted durably, run when there is room, their answers kept for a while."""
