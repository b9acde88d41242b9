"""How a task hub of another process is reached: the rules, without any I/O.

* ``connection_string``  ``Endpoint=...;TaskHub=...;Authentication=...`` and every fault it can have
* ``authentication``     the kinds of authentication, and the fields that each of them takes
* ``admission``          what to do where a hub does not let in who calls
* ``endpoint``           addresses, ports, what is encrypted, and the commonest mistakes
* ``options``            what users may tune: channels, retries, reconnecting
* ``failures``           what a broken link to a hub means for who uses it
* ``backoff``            how long to wait before another attempt
"""
