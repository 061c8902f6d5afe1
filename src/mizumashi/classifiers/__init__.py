"""Labelled images -> a trained classifier -> scores."""
