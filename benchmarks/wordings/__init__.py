"""Which words make a language model edit: a small measurement of prompt sets."""
