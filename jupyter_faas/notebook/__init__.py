"""What needs IPython: output in the right cell, magics, displays."""
