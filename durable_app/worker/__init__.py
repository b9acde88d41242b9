"""Runs an app's functions for a task hub, wherever that hub is.

* ``service``        the worker: connects, hands items to the right executor, drains
* ``orchestrators``  one thread for all orchestrator code, and the watchdog that names a blocker
* ``sessions``       suspended executions that go on with the new events alone
* ``activities``     daemon threads for sync activities, the event loop for async ones
* ``invocations``    what an observer is told of all of them
"""
