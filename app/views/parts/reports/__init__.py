"""Pieces of the page of reports: what goes in, what it would say, what was made before."""
