"""A border router's configuration text against what mode `signal` needs of it, by vendor."""

from __future__ import annotations

from teagent.model.diagnosis import Diagnosis, Verdict
from teagent.wire.router_config.frr_checkup import Homes, frr_checkup
from teagent.wire.router_config.router import BorderRouter

NOT_READ = "only FRR's configuration is read here: compare it with `teagent router-config` by hand"


def checkup(router: BorderRouter, vendor: str, text: str, homes: Homes) -> tuple[Diagnosis, ...]:
    """For other vendors than FRR it is said that nothing is proven."""
    if vendor == "frr":
        return frr_checkup(router, text, homes)
    return (
        Diagnosis(
            verdict=Verdict.ASSUMED,
            check="signals",
            router=router.name,
            subject=router.name,
            message=f"what its configuration does with signals cannot be told for {vendor}",
            remedy=NOT_READ,
        ),
    )
