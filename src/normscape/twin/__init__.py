"""A step repeated at other points in weight space, on a twin of the network.

The network that trains stays untouched; digests of all that it depends on tell whether it did.
"""
