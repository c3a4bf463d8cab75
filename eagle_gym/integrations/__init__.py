"""Libraries that train language models, each a thin adapter over `gym.make`.

Importing this package loads none of them. The module of a library needs that library.
"""
