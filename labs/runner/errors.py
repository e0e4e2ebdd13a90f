"""What can go wrong with a lab; a topology file's problems are `teagent.errors.ConfigError`, all at once."""

from __future__ import annotations

from collections.abc import Sequence

from teagent.errors import TeagentError


class LabError(TeagentError):
    """The lab could not be brought up, used or taken down."""


class NotRoot(LabError):
    def __init__(self, action: str) -> None:
        super().__init__(
            f"cannot {action} a lab without root: it makes network namespaces",
            hint="run it again with sudo",
            action=action,
        )


class MissingPrograms(LabError):
    """`missing` holds (node, program, Debian package or None) for everything that is not installed."""

    def __init__(self, missing: Sequence[tuple[str, str, str | None]]) -> None:
        words = [f"{program} for node {node}" for node, program, _ in missing]
        packages = sorted({package for _, _, package in missing if package})
        super().__init__(
            f"not installed: {', '.join(words)}",
            hint=f"apt-get install -y --no-install-recommends {' '.join(packages)}" if packages else None,
            missing=[{"node": n, "program": p, "package": k} for n, p, k in missing],
        )


class AlreadyDeployed(LabError):
    def __init__(self, name: str, *, running: bool) -> None:
        what = "is already running" if running else "is being deployed, or a deployment of it was killed"
        super().__init__(
            f"lab {name} {what}",
            hint=f"python -m labs.runner destroy --name {name}, or deploy under another --name",
            lab=name,
            running=running,
        )


class NamespaceTaken(LabError):
    def __init__(self, namespace: str) -> None:
        super().__init__(
            f"network namespace {namespace} is there already and is not of this lab",
            hint="deploy under another --name",
            namespace=namespace,
        )


class NotDeployed(LabError):
    def __init__(self, name: str, *, known: Sequence[str]) -> None:
        listed = f", deployed are {', '.join(known)}" if known else ", none is deployed"
        super().__init__(
            f"there is no lab {name}{listed}", hint="python -m labs.runner deploy -t FILE", lab=name, known=list(known)
        )


class NoSuchNode(LabError):
    def __init__(self, lab: str, node: str, *, known: Sequence[str]) -> None:
        super().__init__(
            f"lab {lab} has no node {node}, its nodes are {', '.join(known)}", lab=lab, node=node, known=list(known)
        )


class NodeFailed(LabError):
    """A node did not come up, or one of its commands failed while the lab was deployed."""

    def __init__(self, node: str, what: str, output: str, *, hint: str | None = None) -> None:
        last = [line.strip() for line in output.strip().splitlines() if line.strip()][-3:]
        said = f": {' / '.join(last)}" if last else ""
        super().__init__(f"node {node}: {what}{said}", hint=hint, node=node, what=what, output=output)


class CommandFailed(LabError):
    """A command that was run in a node with `check=True` exited with another code than 0."""

    def __init__(self, node: str, command: Sequence[str], *, exit_code: int, output: str) -> None:
        last = [line.strip() for line in output.strip().splitlines() if line.strip()][-3:]
        super().__init__(
            f"node {node}: {' '.join(command)!r} exited with {exit_code}{': ' + ' / '.join(last) if last else ''}",
            node=node,
            command=list(command),
            command_exit_code=exit_code,
            output=output,
        )


class CommandTimeout(LabError):
    def __init__(self, node: str, command: Sequence[str], *, timeout_seconds: float) -> None:
        super().__init__(
            f"node {node}: {' '.join(command)!r} took longer than {timeout_seconds:g}s and was killed",
            node=node,
            command=list(command),
            timeout_seconds=timeout_seconds,
        )
