"""A lab's small Internet: read from one file of data, written out as a topology and its routers' configurations."""

from labs.internet.world import Internet, Network, OwnLink, OwnPrefix, load_internet

__all__ = ["Internet", "Network", "OwnLink", "OwnPrefix", "load_internet"]
