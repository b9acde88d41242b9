"""Calls of functions: their arguments, their outputs, the threads that they run on."""
