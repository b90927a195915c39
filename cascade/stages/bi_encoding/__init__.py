"""What only the bi-encoder stage needs."""
