"""How good, how different, how certain."""
