"""Experiments while serving: who takes part, what each kind answers, and shadows off the request's path."""
