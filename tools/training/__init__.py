"""Trains the models that lie in the package."""
