"""The papers' evaluations; each returns a :class:`tubelet.protocols.result.Result`."""
