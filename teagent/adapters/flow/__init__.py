"""Flow datagrams from the network: the only place of teagent that reads UDP."""
