"""`python -m jupyter_faas.kernels`: a kernel zygote, and then each kernel forked from it."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # As ipykernel's launcher does, before anything else is imported: what lies in the directory
    # this was started in must not hide a module. (Here, since a kernel starts in another one.)
    if sys.path[0] == "" or Path(sys.path[0]) == Path.cwd():
        del sys.path[0]

    from jupyter_faas.kernels.start import main

    sys.exit(main(sys.argv[1:]))
