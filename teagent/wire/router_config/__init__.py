"""What a border router needs so that an override does what it says: text from values, by vendor."""

from teagent.wire.router_config.bird import bird_config
from teagent.wire.router_config.frr import frr_config
from teagent.wire.router_config.router import BorderLink, BorderRouter

__all__ = ["BorderLink", "BorderRouter", "bird_config", "frr_config", "router_config"]


def router_config(router: BorderRouter, vendor: str) -> str:
    """The configuration of one border router. Raises ValueError for a vendor that was never tried on a real router."""
    match vendor:
        case "frr":
            return frr_config(router)
        case "bird":
            return bird_config(router)
        case _:
            raise ValueError(
                f"there is no generator for {vendor}, only for frr and bird: what was never tried on a router is not "
                "printed as if it worked; docs/explanation/the-relay.md lists what a border router has to do"
            )
