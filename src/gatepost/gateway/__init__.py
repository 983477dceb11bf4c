"""The data plane that phones connect to.

Theory of operation. A phone's connection is a `Downstream`; each request on it becomes an `Exchange`, which identifies
who asks (`identify`), decides (`decisions`), and then either forwards to the mail server over an `UpstreamConnection`
or answers with a refusal from `wire.eas.refusal`. All of that happens synchronously inside the callback that received
the last byte needed, on one event loop; only connecting and proving credentials wait. The rules are a `Replica` that
follows the store's feed in a thread of its own; when it moves, `Connections` ends every request in flight whose
decision is no longer ALLOW. What devices say about themselves is kept in `Devices` and flushed in batches.
"""
