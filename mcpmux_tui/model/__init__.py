"""The words the rooms share: specs, states, channels, errors, and the ports between rooms."""
