"""Measuring a model: loss and its uncertainty, tasks, size, speed."""
