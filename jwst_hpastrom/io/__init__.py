"""The only room that opens files: exposures, associations, star lists, catalogues and reference files."""
