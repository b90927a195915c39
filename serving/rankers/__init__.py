"""The rankers that a process holds: thousands of them, loaded when they are needed, within a budget of
bytes."""

from serving.rankers.catalogue import Catalogue
from serving.rankers.failures import RETRY_S
from serving.rankers.served import Load, Served, Source
from serving.rankers.watch import Watch

__all__ = ["RETRY_S", "Catalogue", "Load", "Served", "Source", "Watch"]
