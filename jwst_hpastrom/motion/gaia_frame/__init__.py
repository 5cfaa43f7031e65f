"""The frame of a reference catalog: which of its stars are good, transformations to it, and their errors."""
