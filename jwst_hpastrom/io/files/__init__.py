"""How files are opened and written whole, and what a product says of its origin."""
