"""Measured data: files as laboratories have them, and what experiments ask of them."""
