"""ePSFs and star lists as photutils has them."""
