"""Low-rank compression: how much each layer keeps, and in which form. Without weights, no torch."""
