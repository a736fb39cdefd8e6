"""Compression: methods, rank allocation, storage forms, calibration, export."""
