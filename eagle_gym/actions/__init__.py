"""The actions of a state: candidate edits, their expected effects, and the design that selects among them."""
