"""The fuzz run: gives the client, the polls and the plans responses that no service should send.

Hypothesis draws the responses, and what the provider does when it meets them; a server of raw sockets sends them byte
by byte. The client and all above it are the real ones; only ``time.sleep`` is not, so that a pause costs no time. It
listens on 127.0.0.1 alone, and ends by itself after the examples or the seconds that were asked for.

``python -m fuzz --seed 1 --seconds 600`` in ``dev/``, or ``make fuzz SEED=1 SECONDS=600``.
"""
