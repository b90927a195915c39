"""From the event log to a ranker: what people did with what they were shown, made into training data."""
