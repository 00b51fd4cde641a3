"""Other tools' configs, one module per format; read, never written. What a person pastes.

A format's module has `TOOL` and `sources(where)`; `search.find` reads them all, and
`plan.plan_import` says what an import would add. `pasted.read` understands a command, an address
or JSON; neither starts anything.
"""
