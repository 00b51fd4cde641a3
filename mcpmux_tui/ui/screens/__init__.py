"""The screens a person can be on."""
