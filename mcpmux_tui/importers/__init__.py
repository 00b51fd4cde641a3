"""Other tools' configs, one module per format; read, never written.

A format's module has `TOOL` and `sources(where)`; `search.find` reads them all, and
`plan.plan_import` says what an import would add.
"""
