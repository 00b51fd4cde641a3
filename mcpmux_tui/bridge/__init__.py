"""`mcpmux stdio`: the bridge for clients that only start commands, standard library alone.

options     what stands in `argv`, read before the command line's library is imported
start       what is loaded for them, and what is not: clients wait for it
run         from start to end: stdin, stdout, signals
pipes       lines from stdin, lines to stdout, back-pressure between both sides
relay       each message to the address and what comes back; both protocol eras
session     a 2025 session, and how it is opened again after a restart of its server
message     what is read of a message; every byte of it goes on as it came
params      `Mcp-Param-*` headers of 2026 calls
target      the address of an engine or a server; finds the engine, and starts one
http        HTTP/1.1 connections that are kept
trouble     what went wrong, for the client and for its log
"""
