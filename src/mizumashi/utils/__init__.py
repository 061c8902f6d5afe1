"""The floor that all stand on: each file one subject."""
