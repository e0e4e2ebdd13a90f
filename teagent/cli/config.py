"""`teagent config`: look at the configuration without a daemon.

What reads files (pydantic, PyYAML) is imported when a command runs: every `teagent` imports this module.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from teagent.config.effective import Config
from teagent.config.secrets import process_environment
from teagent.errors import ConfigError, NotFound, TeagentError

F = TypeVar("F", bound=Callable[..., Any])

FILE = click.argument("file", required=False, type=click.Path(path_type=Path))
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def _fail(error: TeagentError) -> NoReturn:
    """One line for each fact on standard error, and the error's own exit code."""
    if isinstance(error, ConfigError):
        click.echo(f"{error}. Nothing was started.", err=True)
    else:
        click.echo(f"error: {error}", err=True)
    if error.hint:
        click.echo(f"hint:  {error.hint}", err=True)
    sys.exit(error.exit_code)


def _failing_clearly(command: F) -> F:
    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except TeagentError as error:
            _fail(error)

    return run  # type: ignore[return-value]


@click.group()
def config() -> None:
    """Check the configuration, show what is in force, print its schema.

    FILE is $TEAGENT_CONFIG, ./config.yaml or /etc/teagent/config.yaml where it is not given.
    """


@config.command()
@FILE
@click.option("--strict", is_flag=True, help="Also try secrets, directories, groups, addresses and routes.")
@AS_JSON
@_failing_clearly
def check(file: Path | None, *, strict: bool, as_json: bool) -> None:
    """Validate FILE and its policies; start nothing."""
    from teagent.config.load import find, load
    from teagent.config.strict import try_out

    environment = process_environment()
    path = find(file, environment)
    try:
        loaded = load(path, environment=None)
        if strict and (problems := try_out(loaded, environment)):
            raise ConfigError(problems)  # noqa: TRY301  as any other problem of the file
    except ConfigError as error:
        if as_json:
            click.echo(json.dumps({"file": str(path), "ok": False, "problems": error.fields["problems"]}, indent=2))
            sys.exit(error.exit_code)
        raise
    if as_json:
        document = {"file": str(path), "ok": True, "problems": [], "digest": loaded.digest, **_counts(loaded)}
        click.echo(json.dumps(document, indent=2))
        return
    counts = ", ".join(f"{n} {word if n != 1 else _singular(word)}" for word, n in _counts(loaded).items())
    click.echo(f"{path}: ok, {counts}; {'dry run' if loaded.bgp.dry_run else 'live'}")


def _counts(loaded: Config) -> dict[str, int]:
    return {
        "routers": len(loaded.routers),
        "links": len(loaded.network.links),
        "prefixes": len(loaded.network.prefixes),
        "policies": len(loaded.policies),
    }


def _singular(word: str) -> str:
    return {"prefixes": "prefix", "policies": "policy"}.get(word, word.removesuffix("s"))


@config.command()
@FILE
@click.option("--policy", metavar="NAME", help="Show this policy's file instead.")
@AS_JSON
@_failing_clearly
def show(file: Path | None, policy: str | None, *, as_json: bool) -> None:
    """Print what is in force, with all defaults; secrets as references. It loads again."""
    from teagent.config.load import find, load
    from teagent.config.show import document_of, policy_document, to_yaml

    path = find(file, process_environment())
    loaded = load(path, environment=None)
    policies = {p.name: policy_document(p) for p in loaded.policies}
    if policy is not None and policy not in policies:
        raise NotFound("policy", policy, known=list(policies))
    if as_json:
        shown = {"config": document_of(loaded), "policies": list(policies.values())} if policy is None else None
        click.echo(json.dumps(shown | {"digest": loaded.digest} if shown else policies[str(policy)], indent=2))
        return
    if policy is not None:
        click.echo(to_yaml(policies[policy]), nl=False)
        return
    click.echo(f"# effective configuration of {path}, digest {loaded.digest}")
    click.echo(to_yaml(document_of(loaded)), nl=False)
    for name, source in loaded.policy_files.items():
        click.echo(f"# policy {name} is in {source}: teagent config show --policy {name}")


@config.command()
@click.option("--policy", is_flag=True, help="The schema of policy files instead.")
def schema(*, policy: bool) -> None:
    """Print the JSON schema, for editors."""
    from teagent.config.reference import json_schema

    click.echo(json.dumps(json_schema("policy" if policy else "config"), indent=2))
