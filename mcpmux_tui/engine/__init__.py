"""Joins the rooms: the one package that knows more than one of them.

run         one engine from its lock to its last child
doors       the control protocol's methods
person      what a person asks of one server, and of the four that follow
given       values people give
securing    plain secrets moved out of the config
trying      what a server offers, used by hand
drafts      servers about to be added or changed; forms, trial
hub         who knows whom; what begins and ends in which order; the config read again
fleet       the servers: made, replaced, woken, stopped; outage
rows        what doors are shown of each
sign_ins    who is signed in where
leftovers   what an earlier run left behind
doctor      why a server is red
offline     what commands do where no engine runs; offline_doctor, _sign_in, _values
instance    a config and its state folder; spawn starts an engine of it
logs        the engine's own log
wake, adopted, login_shell: the end of a sleep, children of nobody, the PATH that a shell sets
"""
