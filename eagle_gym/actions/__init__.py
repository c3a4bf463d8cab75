"""What an agent may do in a state: candidate prompts, their expected effects, and the design that picks among them."""
