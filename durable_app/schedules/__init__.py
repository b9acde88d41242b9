"""Scheduled tasks: an entity per schedule, which starts an orchestration again and again. Pure.

Theory of operation. A schedule is the entity ``@schedule@<id>``. Whenever it knows its next
occurrence it sends itself a signal for that moment, with a token; the token changes with every
such signal, so that at most one of those under way counts, whatever was paused, changed, deleted
or delivered late. Its rules are functions ``(state, request, now) -> Step`` in ``rules``; the
entity carries out what they say.

With the overlap policies SKIP and BUFFER_ONE a run is the child of a *watcher*, an orchestration
which tells the schedule that the run has ended, however it has. A watcher can be terminated or
purged and then tells nothing. Therefore every occurrence that finds a run in progress starts its
watcher again, with nothing to do but to report the end: the hub ignores the start while the watcher
lives, and where it is gone the schedule learns so at once.

What must never happen: two runs for one occurrence, a run of a paused or deleted schedule, a
schedule that waits for ever for a run that nobody watches.
"""
