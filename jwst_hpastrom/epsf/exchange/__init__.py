"""ePSFs, star lists and images as photutils and others have them."""
