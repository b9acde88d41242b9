"""Decorators, handles and the index of an app, on top of azure-functions."""
