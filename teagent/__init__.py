"""teagent: assisted BGP inbound traffic engineering."""

__version__ = "0.1.0"
