"""The task hub service over gRPC, for the SDKs of every language.

``dispatch`` turns the table of methods into handlers: it reads the request, finds the task hub that
the metadata names, and turns errors into status codes. ``orchestrations``, ``entities``, ``work``
hold what each method does, in terms of ``durable_app.ports``; ``server`` opens the port.
"""
