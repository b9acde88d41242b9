"""Finds the app of a folder, and says which of its functions run."""
