"""Training of sentence encoders: from labels, or from what a cross-encoder thinks of the same documents."""
