"""Workers: batches of candidates in other processes."""
