"""The finest structure, pixel by pixel: the published clipped median, and a random field."""
