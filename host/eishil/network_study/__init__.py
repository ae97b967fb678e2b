"""Observation networks side by side: a teacher that obeys Kramers-Kronig, its students, and baselines."""
