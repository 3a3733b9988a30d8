"""`python -m jupyter_faas`: the same as `jupyter-faas`."""

from jupyter_faas.cli import main

main()
