"""FRR's configuration text, as `show running-config` prints it or a file has it, taken apart as far as BGP policy goes.

What is not understood is kept beside what it stands in, so that nobody takes it for absent. Only the default BGP
instance is read. Pure, and total: any text gives an FrrText.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network

from teagent.model.bgp import Prefix

FAMILIES = {"ipv4": 4, "ipv6": 6}


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixRule:
    """`shortest` and `longest` are lengths that match inside `prefix`; None for `any`."""

    seq: int
    permit: bool
    prefix: Prefix | None
    shortest: int = 0
    longest: int = 128

    def matches(self, prefix: Prefix) -> bool:
        if self.prefix is None:
            return True
        if self.prefix.version != prefix.version or not self.shortest <= prefix.prefixlen <= self.longest:
            return False
        return prefix.supernet(new_prefix=self.prefix.prefixlen) == self.prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class CommunityRule:
    """Of a large-community-list; `text` is the rest of the line."""

    seq: int
    permit: bool
    expanded: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a route-map; `clauses` are its match, set, call and on-match lines as they stand."""

    seq: int
    permit: bool
    clauses: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Neighbor:
    """What is said to one neighbor or peer-group: words of the session, and words of each family by version."""

    group: str | None = None
    session: list[tuple[str, ...]] = field(default_factory=list)
    family: dict[int, list[tuple[str, ...]]] = field(default_factory=lambda: {4: [], 6: []})


@dataclass(slots=True, kw_only=True)
class FrrText:
    """By name. `networks` and `table_maps` are by version; `bmp` are the lines of all BMP targets."""

    asn: int | None = None
    prefix_lists: dict[tuple[int, str], list[PrefixRule]] = field(default_factory=dict)
    community_lists: dict[str, list[CommunityRule]] = field(default_factory=dict)
    route_maps: dict[str, list[Entry]] = field(default_factory=dict)
    neighbors: dict[str, Neighbor] = field(default_factory=dict)
    networks: dict[int, set[Prefix]] = field(default_factory=lambda: {4: set(), 6: set()})
    redistributes: dict[int, list[str]] = field(default_factory=lambda: {4: [], 6: []})
    table_maps: dict[int, str] = field(default_factory=dict)
    blackholes: set[Prefix] = field(default_factory=set)
    bmp: list[str] = field(default_factory=list)
    defaults: set[str] = field(default_factory=set)
    """Words of the instance that change what sessions do without a policy: `no bgp ebgp-requires-policy` and such."""

    def said(self, name: str, version: int) -> Iterator[tuple[str, ...]]:
        """All that holds for a neighbor in a family: its own words before those of its group."""
        seen = self.neighbors.get(name)
        while seen is not None:
            yield from seen.family[version]
            yield from seen.session
            seen = self.neighbors.get(seen.group) if seen.group is not None else None

    def value(self, name: str, version: int, *words: str, last: str | None = None) -> str | None:
        """The word after `words` of the first line that begins with them (and ends with `last`)."""
        for line in self.said(name, version):
            if line[: len(words)] == words and len(line) > len(words) and (last is None or line[-1] == last):
                return line[len(words)]
        return None


def parse_frr(text: str) -> FrrText:
    """Lines that say nothing of BGP policy are passed over."""
    found = FrrText()
    reader = _Reader(found)
    for line in text.splitlines():
        words = tuple(line.split())
        if words and not words[0].startswith(("!", "#")):
            reader.take(words)
    for entries in found.route_maps.values():
        entries.sort(key=lambda entry: entry.seq)
    for rules in found.prefix_lists.values():
        rules.sort(key=lambda rule: rule.seq)
    for listed in found.community_lists.values():
        listed.sort(key=lambda rule: rule.seq)
    return found


class _Reader:
    """Where in the text we are: inside a route-map's entry, a BGP instance, one of its families, or nowhere."""

    def __init__(self, found: FrrText) -> None:
        self._found = found
        self._place = ""
        self._version = 4
        self._entry: tuple[str, int] | None = None

    def take(self, words: tuple[str, ...]) -> None:
        if self._begins(words):
            return
        if self._place == "route-map":
            self._clause(words)
        elif self._place == "bgp":
            self._bgp(words)
        elif self._place == "family":
            self._family(words)
        elif self._place == "bmp":
            self._found.bmp.append(" ".join(words))

    def _begins(self, words: tuple[str, ...]) -> bool:
        """Whether the line opens or closes a place, or stands for itself."""
        match words:
            case ("route-map", name, ("permit" | "deny") as action, seq) if seq.isdecimal():
                self._open_entry(name, int(seq), permit=action == "permit")
            case ("router", "bgp", asn) if asn.isdecimal():
                self._place, self._found.asn = "bgp", int(asn)
            case ("router" | "interface" | "line" | "vrf" | "key" | "rpki", *_):
                self._place = ""
            case ("address-family", family, *rest) if self._place in {"bgp", "family"}:
                self._place = "family" if family in FAMILIES and rest in ([], ["unicast"]) else "other family"
                self._version = FAMILIES.get(family, 0)
            case ("exit-address-family",):
                self._place = "bgp"
            case ("bmp", "targets", *_) if self._place == "bgp":
                self._place = "bmp"
            case ("exit",):
                self._place = "bgp" if self._place == "bmp" else ""
            case (("ip" | "ipv6") as family, "prefix-list", name, *rest):
                self._prefix_rule(6 if family == "ipv6" else 4, name, rest)
            case ("bgp", "large-community-list", *rest):
                self._community_rule(rest)
            case ("ip" | "ipv6", "route", prefix, ("blackhole" | "Null0" | "reject"), *_):
                self._blackhole(prefix)
            case _:
                return False
        return True

    def _open_entry(self, name: str, seq: int, *, permit: bool) -> None:
        entries = self._found.route_maps.setdefault(name, [])
        known = [entry for entry in entries if entry.seq == seq]
        if known:
            entries.remove(known[0])
        # Loaded twice, an entry is one: the action of the last, and the clauses of both.
        entries.append(Entry(seq=seq, permit=permit, clauses=known[0].clauses if known else ()))
        self._place, self._entry = "route-map", (name, seq)

    def _clause(self, words: tuple[str, ...]) -> None:
        if self._entry is None or words[0] == "description":
            return
        name, seq = self._entry
        entries = self._found.route_maps[name]
        index = next(i for i, entry in enumerate(entries) if entry.seq == seq)
        old = entries[index]
        text = " ".join(words)
        if text not in old.clauses:
            entries[index] = Entry(seq=seq, permit=old.permit, clauses=(*old.clauses, text))

    def _bgp(self, words: tuple[str, ...]) -> None:
        match words:
            case ("neighbor", name, "peer-group"):
                self._neighbor(name)
            case ("neighbor", name, "peer-group", group):
                self._neighbor(name).group = group
            case ("neighbor", name, *rest):
                self._neighbor(name).session.append(tuple(rest))
            case ("no", "bgp", *_):
                self._found.defaults.add(" ".join(words))
            case ("bgp", "default", *_):
                self._found.defaults.add(" ".join(words))
            case _:
                self._family_line(words, 4)  # old texts have IPv4's lines in the instance itself

    def _family(self, words: tuple[str, ...]) -> None:
        match words:
            case ("neighbor", name, "peer-group", group):
                self._neighbor(name).group = group
            case ("neighbor", name, *rest):
                self._neighbor(name).family[self._version].append(tuple(rest))
            case _:
                self._family_line(words, self._version)

    def _family_line(self, words: tuple[str, ...], version: int) -> None:
        match words:
            case ("network", text, *_):
                prefix = _prefix(text)
                if prefix is not None:
                    self._found.networks[version].add(prefix)
            case ("table-map", name):
                self._found.table_maps[version] = name
            case ("redistribute" | "aggregate-address", *_):
                self._found.redistributes[version].append(" ".join(words))
            case _:
                pass

    def _neighbor(self, name: str) -> Neighbor:
        return self._found.neighbors.setdefault(name, Neighbor())

    def _prefix_rule(self, version: int, name: str, rest: list[str]) -> None:
        seq, rest = _sequence(rest, self._found.prefix_lists.get((version, name), []))
        if len(rest) < 2 or rest[0] not in {"permit", "deny"}:
            return
        prefix = None if rest[1] == "any" else _prefix(rest[1])
        if prefix is None and rest[1] != "any":
            return
        bounds = dict(zip(rest[2::2], rest[3::2], strict=False))
        length = 0 if prefix is None else prefix.prefixlen
        shortest, longest = bounds.get("ge", str(length)), bounds.get("le")
        if not shortest.isdecimal() or not (longest is None or longest.isdecimal()):
            return
        widest = 128 if "ge" in bounds else length
        self._found.prefix_lists.setdefault((version, name), []).append(
            PrefixRule(
                seq=seq,
                permit=rest[0] == "permit",
                prefix=prefix,
                shortest=int(shortest),
                longest=widest if longest is None else int(longest),
            )
        )

    def _community_rule(self, rest: list[str]) -> None:
        if len(rest) < 2 or rest[0] not in {"standard", "expanded"}:
            return
        listed = self._found.community_lists.setdefault(rest[1], [])
        seq, words = _sequence(rest[2:], listed)
        if len(words) >= 2 and words[0] in {"permit", "deny"}:
            listed.append(
                CommunityRule(
                    seq=seq, permit=words[0] == "permit", expanded=rest[0] == "expanded", text=" ".join(words[1:])
                )
            )

    def _blackhole(self, text: str) -> None:
        prefix = _prefix(text)
        if prefix is not None:
            self._found.blackholes.add(prefix)


def _sequence(words: list[str], known: list[PrefixRule] | list[CommunityRule]) -> tuple[int, list[str]]:
    if len(words) > 2 and words[0] == "seq" and words[1].isdecimal():
        return int(words[1]), words[2:]
    return max((rule.seq for rule in known), default=0) + 5, words


def _prefix(text: str) -> Prefix | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
