"""What runs in a replica: zygote, front, worker."""
