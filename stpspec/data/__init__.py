"""Data of others: tables, recordings and published numbers, read into targets."""
