"""The rules of the task hub, pure: what an instance may become, and what follows from each step.

Each module is a set of functions ``(state, input, now, ids) -> Decision``: no clock, no disk, no
thread, no randomness. The scheduler loads state, calls a rule, and commits its decision.

* ``instance``       the types: Instance, OpenWork, Message, ActivityTask, Decision
* ``delivery``       which messages a turn sees: duplicates, strays, control messages
* ``orchestration``  what follows from the actions of a turn
* ``activity``       what follows from the outcome of an activity
* ``lifecycle``      start, restart, terminate, suspend, resume, rewind
* ``parents``        what a parent is told of its child
* ``rewind``         a failed instance goes on
* ``merge``          several steps as one
"""
