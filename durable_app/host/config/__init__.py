"""host.json, local.settings.json, the environment: what they say and what this host makes of it."""
