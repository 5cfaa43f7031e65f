"""What the pipeline does besides its Steps: inputs checked, choices made, products kept or made anew."""
