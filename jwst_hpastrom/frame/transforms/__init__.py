"""Transformations of exposures to one frame and of that to a catalog, and which stars are the same."""
