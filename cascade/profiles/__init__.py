"""What is remembered of people, items and queries between requests, and how a batch comes to know it."""
