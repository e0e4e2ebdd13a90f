"""Flow export codecs: NetFlow v5 (Cisco), NetFlow v9 (RFC 3954), IPFIX (RFC 7011). Bytes to columns; no I/O."""
