"""How rankers fare: what serves, what it learned from, and what the event log says of it."""
