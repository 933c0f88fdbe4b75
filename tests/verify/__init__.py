"""The permits' design under a model checker: `python -m tests.verify`, or `make verify`."""
