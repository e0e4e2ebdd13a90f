"""A policy that nobody has written yet: as the file that it would be, checked as `policy check` checks files."""

from __future__ import annotations

from pydantic import ValidationError

from teagent.config.build import build_policy
from teagent.config.check_policy import Surroundings, check_overlaps, check_policy
from teagent.config.effective import Config
from teagent.config.policy_schema import PolicyFile
from teagent.config.show import policy_document, to_yaml
from teagent.model.policy import Policy


def draft(policy: Policy, config: Config) -> tuple[str, tuple[str, ...]]:
    """The text of the file, and what is wrong with it where it takes the place of the policy of the same name."""
    document = policy_document(policy)
    text = to_yaml(document)
    try:
        read = build_policy(PolicyFile.model_validate(document))
    except ValidationError as error:
        return text, tuple(str(problem["msg"]) for problem in error.errors())
    around = Surroundings(
        network=config.network,
        max_prepend=config.bgp.max_prepend,
        poll_interval_seconds=config.poll.interval_seconds,
        flow_window_seconds=config.flows.window_seconds,
        keep_raw_seconds=config.store.keep_raw_seconds,
    )
    others = [read if known.name == read.name else known for known in config.policies]
    problems = [finding.message for finding in check_policy(read, around)]
    problems += [finding.message for name, finding in check_overlaps(others, config.network) if name == read.name]
    return text, tuple(problems)
