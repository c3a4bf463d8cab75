"""The environment: one, many at once, and the adapters that other libraries need."""
