"""Writing compressed models: as factors, merged, as a base with a residual adapter."""
