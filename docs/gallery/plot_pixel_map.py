"""
The fine structure of a distortion
==================================

`~jwst_hpastrom.plot.pixel_map` shows what polynomial and table leave to the map of single pixels.
"""

import matplotlib.pyplot as plt
import numpy as np

import jwst_hpastrom as hpa

u = (np.arange(512.0) - 255.5) / 256
polynomial = hpa.distortion.PolynomialCorrection(
    2, np.array([0.3, 0, 0.4, 0.1, 0]), np.array([0, -0.3, 0, 0.2, 0.3]), np.array([255.5, 255.5]), 256.0
)
fine = np.stack([*np.meshgrid(0.01 * np.sin(40 * u), 0.01 * np.cos(25 * u))], -1).astype(np.float32)
correction = hpa.DistortionCorrection(
    polynomial, pixel_map=hpa.distortion.PixelMapCorrection(fine), shape=(512, 512)
)

hpa.plot.pixel_map(correction)
plt.show()
