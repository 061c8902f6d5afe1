"""Plan -> cells -> results."""
