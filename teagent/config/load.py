"""Files to values: read, shape, cross-check, build. All problems of all files come out at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from teagent.config.build import build_config, build_network, build_policy, secret_places
from teagent.config.check import check
from teagent.config.check_policy import Surroundings, check_overlaps, check_policy
from teagent.config.document import Document, read
from teagent.config.effective import Config
from teagent.config.fields import Row
from teagent.config.policy_schema import PolicyFile
from teagent.config.problems import problems_of
from teagent.config.readers import read_path
from teagent.config.schema import ConfigFile
from teagent.config.secrets import Secret, resolve, resolve_md5_password
from teagent.config.show import digest_of
from teagent.errors import ConfigError, PolicyError, Problem
from teagent.model.network import Network
from teagent.model.policy import Policy

DEFAULT_PATHS = (Path("config.yaml"), Path("/etc/teagent/config.yaml"))
VARIABLE = "TEAGENT_CONFIG"

R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class _PolicyDocument:
    document: Document
    policy: Policy


def find(given: Path | None, environment: Mapping[str, str]) -> Path:
    """The file to read: as given, else $TEAGENT_CONFIG, else the first default that is there. Raises ConfigError."""
    if given is not None:
        return given
    if environment.get(VARIABLE):
        return Path(environment[VARIABLE])
    for path in DEFAULT_PATHS:
        if path.is_file():
            return path
    places = ", ".join(str(path) for path in DEFAULT_PATHS)
    problem = Problem(file=str(DEFAULT_PATHS[0]), line=0, column=0, key="", message=f"there is none of {places}")
    raise ConfigError([problem], hint=f"name the file, or set ${VARIABLE}; config.example.yaml is one to begin with")


def load(path: Path, *, environment: Mapping[str, str] | None) -> Config:
    """The effective configuration with its policies.

    `environment` is where secrets are looked up (`secrets.process_environment()`); None leaves them unresolved,
    which is how a file is checked on another machine. Raises ConfigError with every problem in every file, or
    PolicyError when only policy files have any. Opens nothing but the files themselves and those of secrets.
    """
    problems: list[Problem] = []
    document = read(path)
    file = _shape(document, ConfigFile, problems)
    network = None
    if file is not None:
        problems += [document.problem(f.path, f.message, at_key=f.at_key) for f in check(file)]
        network = build_network(file)
    secrets = _secrets(file, document, environment, problems) if file else {}
    config_problems = len(problems)
    found = _policies(path, document, file, network, problems)
    if file is not None and file.decide.experiments is not None:
        problems += _experiments(file.decide.experiments.policy, [p.policy.name for p in found], document)
    if problems or file is None or network is None:
        problems.sort(key=lambda p: (p.file != str(path), p.file, p.line, p.column))
        raise (ConfigError if config_problems else PolicyError)(problems)
    config = build_config(
        file,
        path=path,
        network=network,
        policies=tuple(p.policy for p in found),
        policy_files={p.policy.name: Path(p.document.file) for p in found},
        secrets=secrets,
    )
    return dataclasses.replace(config, digest=digest_of(config))


def _shape(document: Document, model: type[R], problems: list[Problem]) -> R | None:
    problems += document.problems
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        problems += problems_of(error, document, model)
        return None


def _experiments(policy: str, known: Sequence[str], document: Document) -> list[Problem]:
    """What only the policies can tell of them; nothing where these could not be read."""
    if not known or policy in known:
        return []
    message = f"there is no policy {policy}, known are {', '.join(sorted(known))}"
    return [document.problem(("decide", "experiments", "policy"), message)]


def _secrets(
    file: ConfigFile, document: Document, environment: Mapping[str, str] | None, problems: list[Problem]
) -> dict[str, Secret]:
    secrets: dict[str, Secret] = {}
    for place, reference in secret_places(file).items():
        try:
            if environment is None:
                secrets[reference] = Secret(reference=reference)
            elif place[-1] == "md5_password":
                vendor = file.routers[str(place[1])].vendor
                secrets[reference] = resolve_md5_password(reference, environment, vendor=vendor)
            else:
                secrets[reference] = resolve(reference, environment)
        except ConfigError as error:
            problems += [document.problem(place, problem.message) for problem in error.problems]
    return secrets


def _policies(
    path: Path, document: Document, file: ConfigFile | None, network: Network | None, problems: list[Problem]
) -> list[_PolicyDocument]:
    """Also when the configuration itself is bad, so that everything is listed in one run."""
    directory = _policies_dir(path, document, file)
    try:
        files = sorted(p for p in directory.iterdir() if p.suffix in {".yaml", ".yml"} and not p.name.startswith("."))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        problems.append(document.problem(("policies",), f"the directory {directory} cannot be read: {reason}"))
        return []
    found: list[_PolicyDocument] = []
    for policy_path in files:
        try:
            policy_document = read(policy_path)
        except ConfigError as error:
            problems += error.problems
            continue
        policy_file = _shape(policy_document, PolicyFile, problems)
        if policy_file is not None:
            found.append(_PolicyDocument(policy_document, build_policy(policy_file)))
    problems += _duplicates(found)
    if file is not None and network is not None:
        problems += _policy_findings(found, file, network)
    return found


def _policies_dir(path: Path, document: Document, file: ConfigFile | None) -> Path:
    if file is not None:
        return path.parent / file.policies
    default = str(ConfigFile.model_fields["policies"].default)
    given = document.data.get("policies", default) if isinstance(document.data, dict) else default
    try:
        return path.parent / read_path(given)
    except ValueError:  # said of the value already
        return path.parent / default


def _duplicates(found: Sequence[_PolicyDocument]) -> list[Problem]:
    seen: dict[str, str] = {}
    problems: list[Problem] = []
    for one in found:
        first = seen.setdefault(one.policy.name, one.document.file)
        if first != one.document.file:
            problems.append(one.document.problem(("policy",), f"{one.policy.name} is the policy of {first} already"))
    return problems


def _policy_findings(found: Sequence[_PolicyDocument], file: ConfigFile, network: Network) -> list[Problem]:
    around = Surroundings(
        network=network,
        max_prepend=file.bgp.max_prepend,
        poll_interval_seconds=file.poll.interval,
        flow_window_seconds=file.flows.window,
        keep_raw_seconds=file.store.keep.raw,
    )
    problems = [
        one.document.problem(finding.path, finding.message, at_key=finding.at_key)
        for one in found
        for finding in check_policy(one.policy, around)
    ]
    documents = {one.policy.name: one.document for one in found}
    for name, finding in check_overlaps([one.policy for one in found], network):
        problems.append(documents[name].problem(finding.path, finding.message))
    return problems
