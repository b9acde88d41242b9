"""The app that `func start` runs: one blueprint per pattern, each in a file of its own."""

import durable_app as df
from triggers import (
    account,
    agents,
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
    scheduled_report,
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
    agents,
    scheduled_report,
):
    app.register_functions(pattern.bp)
