"""Numerics: tensors in, typed rows out. Knows nothing of jobs, storage or pages."""
