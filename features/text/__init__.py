"""Text as numbers: tokens, where a query's terms stand in documents, and what a corpus says of terms.

`analyzer` declares how text becomes terms; `scan` does it compiled and `plain` in pure Python, with equal
results; `documents` and `matches` are the views of a batch that features share; `statistics` learns document
frequencies and lengths from a corpus.
"""
