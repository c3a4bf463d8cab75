"""Studies in which people rate a run's texts: makes them, serves them to raters, and reads the ratings."""
