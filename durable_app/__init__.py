"""Durable Functions for Python, complete in one package."""
