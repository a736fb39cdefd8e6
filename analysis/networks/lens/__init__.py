"""A transformer held still as one operator, and what it says of each token."""
