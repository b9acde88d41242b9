"""What the terminal shows: lines, levels, colours, and what user code logs and prints."""
