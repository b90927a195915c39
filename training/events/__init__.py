"""From events to labels, the first step: which shown item got which interactions, whoever logged them."""
