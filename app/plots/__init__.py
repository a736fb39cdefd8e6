"""Pure plots: arrays and tables in, a `Figure` record out, and its renderers."""
