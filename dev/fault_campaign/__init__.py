"""The fault campaign: runs the provider many times while everything fails, by a seed, and counts agents and calls.

A run draws, from its seed alone, a service, some workers with tasks on agents of their own, and what goes wrong on the
way of each request. The operators, the sensor, the trigger and their HTTP are the real ones, and so is the simulator
behind its socket; only time is not: a pause costs none, and the workers take turns at each request, so that a run is
the same whenever it is repeated. After the agents, a run has training scenarios, and then calls: tasks that are
retried, cleared, killed and taken over, and may call nobody twice. Then come sequences, which such tasks make, start
once, and add people to, while somebody changes them in the dashboard. Last come conversations, which are extracted
into files, interval by interval, while they change.

``python -m fault_campaign --seed 1 --runs 100`` in ``dev/``, or ``make faults SEED=1 RUNS=100``.
"""
