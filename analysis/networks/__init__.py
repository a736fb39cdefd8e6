"""Opened models that can run: a forward pass, its text, and the parameters of one layer.

`analysis.weights` reads a model's files; this package turns them into a network. Nothing here is
imported before an analysis needs a forward pass.
"""
