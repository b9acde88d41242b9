"""The task hub behind a gRPC channel, in terms of ``durable_app.ports``.

``calls`` makes the calls of the method table, ``explain`` turns status codes into errors, ``hub``
is what clients see. ``work`` keeps a worker supplied; ``in_flight`` knows what the worker holds,
``delivery`` brings its results to the hub.
"""
