"""Who calls, and what he may do: bearer tokens and client certificates against what the store declares."""
