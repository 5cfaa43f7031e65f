"""Each star's positions and times become its motion: the kinematic models, fitted and marginalized."""
