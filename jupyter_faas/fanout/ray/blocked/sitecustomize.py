"""First on the path of every Ray process: keeps out what costs seconds and is not needed.

`jsonschema[format-nongpl]`, which Jupyter brings, imports `rfc3987_syntax`, which compiles a
grammar when it is imported: 1.4 to 2 s in each worker. Without it jsonschema checks one format
less.
"""

import sys

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # - how an import is refused
