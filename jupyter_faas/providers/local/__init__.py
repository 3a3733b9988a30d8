"""Replicas as processes of this machine, forked from warm zygotes.

`provider.LocalProvider` is what the gateway gets; `process.spawn_zygote` starts a zygote before
the gateway has imported anything.
"""
