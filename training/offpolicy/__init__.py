"""What another ranker would have earned on logged pages, with an interval, or why the log cannot say."""
