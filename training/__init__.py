"""Learns and judges cascades offline. Never imports `serving`."""
