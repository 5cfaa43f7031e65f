"""Stamps around bright stars: exposures opened for them, neighbors taken out, samples of the ePSF."""
