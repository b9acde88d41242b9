"""Orchestrators as generators, replayed from their history; see ``engine``."""
