"""The command line, and the composition root: the only place that sees both training and serving."""
