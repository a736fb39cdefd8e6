"""Second derivatives of a loss: products, exact matrices, estimates, bounds."""
