"""What an agent may do in a state: candidate edits, their expected effects, and the design that picks among them."""
