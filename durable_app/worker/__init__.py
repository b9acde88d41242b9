"""Runs an app's functions for a task hub, wherever that hub is.

* ``service``        the worker: connects, hands items to the right executor, drains
* ``orchestrators``  one thread for all orchestrator code, and the watchdog that names a blocker
* ``sessions``       suspended executions that go on with the new events alone
* ``activities``     one job for each
* ``entities``       one job for each batch of operations
* ``jobs``           sync functions on a crew of threads, async ones on the event loop
* ``crew``           daemon threads that work off a queue, as many as it takes
* ``built_in``       functions that every worker has and no app lists: HTTP calls
* ``http_caller``    makes the requests of HTTP calls
* ``http_hops``      where an HTTP call goes next, when, and with what
* ``session``        when to connect, to wait, to begin anew: the reconnect machine, without I/O
* ``stream_consumer``  runs that machine over a link to a hub of another process
* ``invocations``    what an observer is told of all of them
"""
