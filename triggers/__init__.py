"""The functions of the app, one pattern per file."""
