"""From files and options to running objects: the only package that names implementations.

* :mod:`durable_app.compose.host`: an app with its hub, worker, triggers and HTTP server.
"""
