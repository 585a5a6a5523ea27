"""Which TrafficTargets would admit all that was seen, and nothing else?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from meshlab.errors import LabError
from meshlab.kube import Object, dump
from meshlab.lab.apply import Receipt
from meshlab.lab.recorded import Recorded
from meshlab.lab.shown import Shown
from meshlab.mesh.learn import learn
from meshlab.mesh.rules import Permission
from meshlab.policy.smi.written import written


@dataclass(frozen=True, repr=False)
class Learned(Shown):
    """The smallest set of policies that admits what is on record. `yaml` is what to keep; `apply()` applies it."""

    permissions: tuple[Permission, ...]
    requests: int
    unproven: int
    """Requests whose callers proved no identity: no policy can admit them."""
    applier: Callable[[str], Receipt] | None = field(default=None, compare=False)

    @property
    def objects(self) -> list[Object]:
        """The route objects and TrafficTargets."""
        return written(self.permissions)

    @property
    def yaml(self) -> str:
        """The same as text."""
        return dump(self.objects)

    def apply(self) -> Receipt:
        """Apply them. What other policies allow stays allowed."""
        if self.applier is None or not self.permissions:
            hint = "let there be traffic first" if not self.permissions else "write .yaml into a file"
            raise LabError("ML512", "there is nothing to apply", hint=hint)
        return self.applier(self.yaml)

    def lines(self) -> Iterator[str]:
        """What it says, line by line."""
        yield f"{len(self.permissions)} TrafficTargets admit the {self.requests} requests on record, and nothing else"
        if self.unproven:
            yield f"  ! {self.unproven} requests came from callers without a sidecar, and can't be admitted"
        for permission in self.permissions:
            yield f"  TrafficTarget {permission.name}: {', '.join(map(str, sorted(permission.sources)))}"
            for rule in permission.http_rules:
                yield from (
                    f"    {' or '.join(sorted(match.methods)) or '*'} {match.path_regex}" for match in rule.matches
                )
            yield from (f"    port {port}" for rule in permission.tcp_rules for port in rule.ports)


def learn_policies(
    recorded: Iterable[Recorded], *, refused: bool = False, applier: Callable[[str], Receipt] | None = None
) -> Learned:
    """What admits the recorded requests; those that were refused every time only if `refused` says so."""
    wanted = [kind for kind in recorded if refused or kind.refused < kind.count]
    return Learned(
        permissions=learn(kind.request for kind in wanted),
        requests=sum(kind.count for kind in wanted if kind.request.source),
        unproven=sum(kind.count for kind in wanted if kind.request.source is None),
        applier=applier,
    )
