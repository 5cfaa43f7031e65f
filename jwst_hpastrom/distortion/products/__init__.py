"""What is made of corrections: official transforms, averages over filters, pixel scales."""
