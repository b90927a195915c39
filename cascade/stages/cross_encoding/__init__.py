"""What only the cross-encoder stage needs beside `features/transformer`: template and shipped weights."""
