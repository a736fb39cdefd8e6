"""Low-rank updates: extracted from a fine-tuned model, or an adapter's made smaller."""
