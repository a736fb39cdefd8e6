"""Runs analyses in Ray workers: store owner, manager, workers, client and command line.

The only package that imports ray. `python -m jobs --help` lists the commands.
"""
