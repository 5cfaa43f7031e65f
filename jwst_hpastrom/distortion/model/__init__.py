"""The correction, its parts and its error, and the frames that it connects."""
