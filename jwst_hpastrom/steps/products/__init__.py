"""What a Step's products are of: groups of exposures, places of detectors, manifests, verdicts."""
