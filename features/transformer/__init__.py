"""Transformers as packed onnxruntime graphs: their files, tokens, batches and sessions.

Cross-encoders (`cascade/stages`) and sentence encoders share all of this.
"""
