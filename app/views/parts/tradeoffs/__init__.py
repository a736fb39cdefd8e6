"""Pieces of the page of rank trade-offs."""
