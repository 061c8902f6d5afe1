"""How good and how different generated images are."""
