"""Speaks gRPC. Never imports `training`."""
