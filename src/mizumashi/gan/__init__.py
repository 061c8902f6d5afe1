"""Labelled images -> snapshots -> labelled images."""
