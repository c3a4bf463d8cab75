"""Judges that took no part in training: what they know, and what they say of a run's episodes."""
