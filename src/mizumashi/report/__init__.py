"""Results -> tables, figures, one page."""
