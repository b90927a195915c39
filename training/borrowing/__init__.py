"""A tenant's ranker borrows from a shared base: the base itself, base plus residual trees, or its own."""
