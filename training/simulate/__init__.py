"""Simulated users over judged collections, with known parameters: the truth to test estimates against.

Whatever leaves this package says that it is simulated.
"""
