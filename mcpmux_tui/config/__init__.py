"""What the user wrote, and changes to it on a person's behalf.

file          the whole config, TOML or JSON, as read
schema        one entry: its keys, and the spec they make; ui and inputs: those tables
check         what must hold of a launch
placeholders  the grammar of ${NAME} and its like; resolve fills them
plain         secrets that stand in an entry as they are
plan          what a changed config asks of the servers that run; watch notices the change
edit          what an edit means: a server added, removed, enabled, changed
roundtrip     an edit in the file's text, all else as written; toml_text: cuts and insertions in it
statements    where the statements of a TOML text stand
atomic        the file replaced in one step, under a lock
show          an entry for people, its secrets hidden
"""
