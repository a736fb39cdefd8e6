"""What each view shows of a job in a report: one file for each, `plain.py` for all others."""
