"""Replicas as processes of this machine, forked from warm zygotes."""
