"""Pages that show a run or a sweep: drawn from records and the cache, without torch and without a network."""
