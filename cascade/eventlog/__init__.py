"""The event log: serving appends to it, training reads it. `docs/feedback.md` says what lies where."""
