"""Secrets where they are kept: the keyring, or what the user chose in its place.

choice    where an instance keeps its secrets, by its config
store     the one async interface: cache, time limits, one call after another
backend   which keyring may be used, and its errors in our words
parts     values that a keyring takes in pieces only
index     the names of what is kept
file      the plain file, by the user's own choice
values    what people gave by name, kept or for this session only
redact    takes secrets out of texts
"""
