"""The app that `func start` runs: one blueprint per pattern, each in a file of its own.

Start it with `make start`, then for example:

    curl -X POST localhost:7071/api/orchestrators/hello_cities
"""

import durable_app as df
from triggers import (
    account,
    approval,
    chaining,
    counter,
    eternal,
    fan_out,
    http_api,
    monitor,
    pipeline,
    saga,
    schedule,
    sub_orchestrations,
)

app = df.DFApp()

for pattern in (
    http_api,
    chaining,
    fan_out,
    monitor,
    approval,
    saga,
    pipeline,
    sub_orchestrations,
    eternal,
    schedule,
    counter,
    account,
):
    app.register_functions(pattern.bp)
