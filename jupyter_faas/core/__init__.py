"""Vocabulary and pure decisions: no I/O, no asyncio, no clock."""
