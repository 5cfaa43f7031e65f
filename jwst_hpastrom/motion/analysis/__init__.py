"""What motions and their frame are worth: catalogs compared, systematics, forecasts, points at rest."""
