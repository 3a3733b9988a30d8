"""Replicas as pods of a Kubernetes cluster, claimed from warm pools or created."""
