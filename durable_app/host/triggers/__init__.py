"""Triggers that this host runs itself, beside HTTP and the durable ones: one module each."""
