"""The way from a laptop to a cluster's gateway: kubeconfig, a port-forward, a token.

Imported when `kubernetes` is first connected to, never before: the official client is heavy.
"""
