"""AS graphs from files: plain, bz2 or gzip, with a cache of what was parsed."""

from teagent.adapters.as_graph.file import AsGraphFile, load

__all__ = ["AsGraphFile", "load"]
