"""The kernel "Python 3 (serverless)": ipykernel, forked from a process that has imported it.

In the Jupyter server: `provisioner.py` is what jupyter_client calls, `nursery.py` keeps a zygote
(`process.py`) for each Python environment, `forked.py` is one kernel as the server sees it. In the
zygote: `zygote.py` forks, `kernel.py` is what the child becomes. `birth.py` decides and `order.py`
is what they say to each other. A kernel that cannot be forked is started as any other, and says
why.
"""
