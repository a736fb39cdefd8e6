"""The named queries, one module per subject; each function takes the cursor it runs on."""
