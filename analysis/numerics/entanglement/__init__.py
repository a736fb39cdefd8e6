"""Entropies of weights over cuts and of attention, and what they are held against."""
