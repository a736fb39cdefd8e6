"""Mathematics that several analyses share. Pure functions, float64."""
