"""The task hub over the wire: everything that knows gRPC and protobuf.

``taskhub.proto`` describes the messages, ``generated`` is what its compiler made of them,
``methods`` tells the calls, and ``codec`` translates between messages and the vocabulary of
``durable_app.protocol`` and ``durable_app.ports``, which is all that the rest of the package knows.
"""
