"""Where task hubs keep their rows: one Store port, several adapters, no rule in any."""
