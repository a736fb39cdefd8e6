"""A trial from its settings to its row: stages, choices, the compressed network, its measures."""
