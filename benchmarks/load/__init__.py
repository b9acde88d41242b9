"""The workloads W1 to W7, WE, WB and WH on the whole host: see ``workloads``."""
