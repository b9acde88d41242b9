"""How an app talks to its orchestrations: the client, its sync twin, and what they return."""
