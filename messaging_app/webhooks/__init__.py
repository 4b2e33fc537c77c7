"""Webhooks: a tenant's events, sent to addresses by the Standard Webhooks scheme.

The stream is the outbox. `outbox` makes a delivery of each event an endpoint wants, `delivery` sends what is due and
records how it went, `senders` are the threads that do it, `guard` is the only way out to the network, `endpoints` has
the verbs.
"""
