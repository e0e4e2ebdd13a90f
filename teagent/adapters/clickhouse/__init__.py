"""Flows out of a ClickHouse table that another collector fills: a FlowSource that reads aggregates with SQL."""
