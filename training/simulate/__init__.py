"""Simulated users over judged collections, with known parameters: the truth that estimates are tested against.

Whatever leaves this package says that it is simulated.
"""
