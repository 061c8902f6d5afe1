"""Labelled images in, out and in shape."""
