"""What things cost: `python -m benchmarks` lists the benchmarks, one module each."""
