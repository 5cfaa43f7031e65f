"""Numba kernels of effective PSFs and star fits: plain arrays in, plain arrays out."""
