"""The shape of a policy file. The descriptions are the text of docs/reference/policy.md."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field, model_validator

from teagent.config.fields import (
    LinkName,
    PolicyName,
    PrefixText,
    PrependCount,
    Rate,
    Reads,
    Row,
    Tag,
    Truth,
    duration,
    line,
    number,
    one_of,
    share,
    some_of,
    whole,
    written,
)
from teagent.config.readers import read_version_1
from teagent.model.link import LinkKind
from teagent.model.policy import Metric, Objective, Unproven

LATER_LEVERS = frozenset({"community", "more_specific", "med", "withdraw"})


class LinkMatchRow(Row):
    """A link is matched when all that is given here holds. At least one of them is given: there is no "all"."""

    kind: Annotated[list[str], some_of(*LinkKind, what="kind of link")] | None = Field(
        default=None, description="One kind, or a list: the link is of one of them."
    )
    names: list[LinkName] | None = Field(default=None, min_length=1, description="The link is one of these.")

    @model_validator(mode="after")
    def matches_something(self) -> LinkMatchRow:
        if self.kind is None and self.names is None:
            raise ValueError("nothing to match by, give kind or names")
        return self


class PrefixMatchRow(Row):
    """A prefix is matched when all that is given here holds; only engineered prefixes are ever changed."""

    tags: list[Tag] | None = Field(default=None, min_length=1, description="The prefix has one of these tags.")
    prefixes: list[PrefixText] | None = Field(default=None, min_length=1, description="The prefix is one of these.")

    @model_validator(mode="after")
    def matches_something(self) -> PrefixMatchRow:
        if self.tags is None and self.prefixes is None:
            raise ValueError("nothing to match by, give tags or prefixes")
        return self


class Match(Row):
    """What the policy is about."""

    links: LinkMatchRow = Field(description="The links that it relieves.", examples=["{kind: transit}"])
    prefixes: PrefixMatchRow = Field(description="The prefixes that it may change.", examples=["{tags: [eyeball]}"])


class When(Row):
    """When the policy looks for a plan."""

    metric: Annotated[str, one_of(*Metric, what="metric")] = Field(
        description="`in_utilisation`: what comes in, as a share of the link's capacity."
    )
    above: Annotated[float, share()] = Field(description="It fires on a link whose metric stays above this ...")
    for_: Annotated[float, duration(1, 86400, example="15m")] = Field(
        alias="for", description="... for this long, in every reading. Missing readings start it anew."
    )
    clear_below: Annotated[float, share(example="70%")] = Field(
        description="It is over when the metric is below this, which is also what plans aim for."
    )


class PrependRow(Row):
    """Copies of our AS in the path towards a link's neighbor."""

    lever: Annotated[str, one_of("prepend", what="lever", later=LATER_LEVERS)] = Field(description="`prepend`")
    max: PrependCount = Field(description="At most this many; not above `bgp.max_prepend`.", examples=[3])


class DampingRow(Row):
    """A prefix that keeps moving is left alone, ever longer: RFC 2439's idea with our own numbers."""

    half_life: Annotated[float, duration(60, 86400, example="2h")] = Field(
        default=written("2h"), description="Each move adds 1 to a prefix's penalty, which halves in this time."
    )
    suppress_above: Annotated[float, number(1, 100, what="a penalty", example=3)] = Field(
        default=3.0, description="With a penalty above this the prefix is left alone ..."
    )
    reuse_below: Annotated[float, number(0.1, 100, what="a penalty", example=1.5)] = Field(
        default=1.5, description="... until the penalty is below this."
    )
    at_most: Annotated[float, duration(60, 7 * 86400, example="12h")] = Field(
        default=written("12h"), description="Nothing is left alone for longer than this after its last move."
    )


class LimitsRow(Row):
    """What a plan may never exceed, whatever it would gain."""

    changes_per_plan: Annotated[int, whole(1, 100, what="a number of changes", example=4)] = Field(
        default=4, description="Announcements (a prefix on a link) that one plan changes."
    )
    prefixes_per_plan: Annotated[int, whole(1, 50, what="a number of prefixes", example=2)] = Field(
        default=2, description="Prefixes that one plan touches."
    )
    shift_per_plan: Rate | None = Field(
        default=None, description="Traffic that one plan is expected to move. Without it: no limit.", examples=["3Gbps"]
    )
    cooldown: Annotated[float, duration(1, 30 * 86400, example="1h")] = Field(
        default=written("1h"), description="A prefix rests this long after a change."
    )
    moves_per_day: Annotated[int, whole(1, 1000, what="a number of moves", example=6)] = Field(
        default=6,
        description="A prefix moves at most this often in 24 hours; a change is one move, taking it back another. "
        "What is applied is always taken back when it has to be.",
    )
    all_moves_per_day: Annotated[int, whole(1, 100_000, what="a number of moves", example=50)] = Field(
        default=50, description="The same for all prefixes and policies together."
    )
    damping: DampingRow = Field(
        default_factory=DampingRow, description="A prefix that keeps moving.", examples=["{half_life: 2h}"]
    )
    headroom: Annotated[float, share(0, 0.95, example="15%")] = Field(
        default=written("15%"), description="Left free on every link that gains traffic, at the pessimistic end."
    )
    min_links_per_prefix: Annotated[int, whole(1, 100, what="a number of links")] = Field(
        default=1, description="A prefix is never announced on fewer links than this."
    )


class ApprovalRow(Row):
    """Who decides."""

    required: Truth = Field(default=True, description="Whether a person approves each plan before it is applied.")
    approvers: Annotated[int, whole(1, 5, what="a number of people", example=2)] = Field(
        default=1, description="How many different people approve each plan; with more than one, root is none of them."
    )
    expires_after: Annotated[float, duration(10, 7 * 86400, example="30m")] = Field(
        default=written("30m"), description="A proposal that nobody answered is over after this."
    )
    tolerance: Annotated[float, share(0, 1, example="10%")] = Field(
        default=written("10%"),
        description="How far a link may have moved, in shares of its capacity, between what was shown and the "
        "approval; beyond it the approval is stale.",
    )


class UtilisationGuardRow(Row):
    """Trips when a link fills up."""

    guard: Literal["in_utilisation"] = Field(description="`in_utilisation`")
    above: Annotated[float, share(example="95%")] = Field(
        description="A link that the change affects is above this in two readings running, after `settle`. The second "
        "is asked for 3 seconds after the first."
    )


class AnnouncedLinksGuardRow(Row):
    """Trips when a prefix is announced on too few links."""

    guard: Literal["announced_links"] = Field(description="`announced_links`")
    below: Annotated[int, whole(1, 100, what="a number of links")] = Field(
        description="A changed prefix is left on fewer links than this."
    )


class NoDataGuardRow(Row):
    """Trips when we are blind."""

    guard: Literal["no_data"] = Field(description="`no_data`")
    for_: Annotated[float, duration(1, 86400, example="3m")] = Field(
        alias="for", description="A link that the change affects has had no reading for this long."
    )


GuardRow: TypeAlias = Annotated[UtilisationGuardRow | AnnouncedLinksGuardRow | NoDataGuardRow, Discriminator("guard")]


class ConfirmRow(Row):
    """How a change is kept, or undone."""

    window: Annotated[float, duration(10, 7 * 86400, example="20m")] = Field(
        default=written("20m"), description="A change that is not confirmed in this time goes home by itself."
    )
    settle: Annotated[float, duration(1, 86400, example="6m")] = Field(
        default=written("6m"), description="Guards are read from here on: routers and traffic take minutes to move."
    )
    unproven: Annotated[str, one_of(*Unproven, what="answer")] = Field(
        default="allow",
        description="`refuse`: a change is neither approved nor confirmed while a router cannot prove, by `bmp` "
        "or on a `witness_session`, that it holds it. `allow`: the proposal says that it is unproven. What a router "
        "says that it refused goes home either way.",
    )
    revert_if: list[GuardRow] = Field(default=[], description="Any of these sends the change home at once.")


class PolicyFile(Row):
    """`policies/NN-name.yaml`."""

    version: Annotated[int, Reads(read_version_1, {"const": 1, "title": "1", "examples": [1]})] = Field(
        description="The version of this file's shape."
    )
    policy: PolicyName = Field(description="The policy's name, in proposals and on the command line.")
    description: Annotated[str, line("a description", "keep transit below 80 % in the evening", most=500)] = Field(
        default="", description="One line for people.", validate_default=False
    )
    enabled: Truth = Field(default=True, description="Whether it is looked at. `false` keeps it for later.")
    match: Match = Field(
        description="What it is about.", examples=["{links: {kind: transit}, prefixes: {tags: [eyeball]}}"]
    )
    when: When = Field(
        description="When it fires.", examples=["{metric: in_utilisation, above: 80%, for: 15m, clear_below: 70%}"]
    )
    objective: Annotated[str, one_of(*Objective, what="objective")] = Field(
        description="Which plan is best. `relieve_at_least_cost`: relief first, then the smallest bill. "
        "`minimise_max_utilisation`: the fullest link as empty as possible."
    )
    allow: list[PrependRow] = Field(
        min_length=1,
        description="The levers it may use; one that is not listed is not available.",
        examples=["[{lever: prepend, max: 3}]"],
    )
    limits: LimitsRow = Field(default_factory=LimitsRow, description="What a plan never exceeds.")
    approval: ApprovalRow = Field(default_factory=ApprovalRow, description="Who decides.")
    confirm: ConfirmRow = Field(default_factory=ConfirmRow, description="How a change is kept, or undone.")
