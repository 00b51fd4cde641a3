"""Secrets where they are kept: the keyring, or what the user chose in its place.

store     the one async interface: cache, time limits, one call after another
backend   which keyring may be used, and its errors in our words
parts     values that a keyring takes in pieces only
index     the names of what is kept
file      the plain file, by the user's own choice
"""
