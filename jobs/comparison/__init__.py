"""What several models, jobs or trials have in common and where they differ, in plain tables."""
