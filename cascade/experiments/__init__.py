"""Experiments on live traffic: what is declared, who takes part, and how rankings are interleaved."""
