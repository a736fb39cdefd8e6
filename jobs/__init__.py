"""Runs analyses in Ray workers: store owner, manager, workers, client and command line.

The only package that imports ray. `python -m jobs --help` lists the commands.
"""

import os

# Threads that spin while they wait cost six times the time where cores are shared, and threads that
# never spin a quarter more where they are not: let them spin for some microseconds. The thread pool
# reads this when torch is imported, which every program and worker does after this package.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
