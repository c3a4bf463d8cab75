"""Agents for eagle_gym: reference policies, Stable-Baselines3, and what evaluates them.

Everything here speaks to an environment through its public interface, as a user's own agent would.
"""
