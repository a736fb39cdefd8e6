"""The commands of `python -m jobs`, one module per group: each returns its exit code."""
