"""Agents for eagle_gym: reference policies, learners, search, and the code that evaluates them.

Agents use an environment through its public interface, as your own agent would. `python -m baselines` records, trains
and evaluates them.
"""
