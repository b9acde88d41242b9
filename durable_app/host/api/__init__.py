"""The host's own APIs, without sockets: durable management and administration."""
