"""Judging experiments on live traffic: exposure, sample ratios, credit, intervals that hold at any look."""
