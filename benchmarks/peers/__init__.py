"""Those whom benchmarks compare with, and what the machine itself can do."""
