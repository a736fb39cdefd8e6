"""Pieces of the page that compares: one file for each kind of subject, and what they share."""
