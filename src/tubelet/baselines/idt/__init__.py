"""Improved dense trajectories (Wang and Schmid 2013): what the papers of 2014 and 2015 had to beat."""
