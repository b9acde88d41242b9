"""The workloads W1 to W7 on the whole host: see ``workloads``."""
