"""The task hub as an object: loads, decides, commits, and hands out work.

* ``hub``       the owner of all mutable state: one drain after the other
* ``state``     what it owns
* ``steps``     what an instance does when it has something to do
* ``commits``   decisions into transactions, and what follows from them
* ``requests``  what clients ask for
* ``hot``       instances held in memory, and what of them is not stored yet
* ``streams``   connected workers, their slots and what they hold
* ``backlog``   activities that wait for a slot
* ``wakeups``   when to look again without being asked
* ``watchers``  who waits for a status
* ``inputs``    the messages that others send to the owner
* ``loop``      the owner's thread
* ``service``   the asyncio face: ``TaskHub``
"""
