"""Use cases: observe, ingest, decide, approve, apply, watch, reconcile, score. They own no I/O and speak to ports."""
