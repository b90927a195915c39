"""What the cross-encoder stage is made of: pairs of tokens, packed batches, and shared sessions."""
