"""How is one object's list of findings written down?"""

from __future__ import annotations

from meshlab.kube import Object, Ref
from meshlab.mesh.finding import Finding, Severity
from meshlab.policy.objects import namespace_of

_LONGEST = 400


class Report:
    """The findings about one object, as they are found."""

    def __init__(self, obj: Object) -> None:
        self.about = str(Ref(obj["kind"], obj["metadata"].get("name", ""), namespace_of(obj)))
        self.findings: list[Finding] = []

    def error(self, code: str, field: str, what: str, cure: str) -> None:
        """Something for which the object is refused."""
        self.findings.append(Finding(code, self.about, field, _short(what), cure))

    def warning(self, code: str, field: str, what: str, cure: str) -> None:
        """Something to know about an object that is let in."""
        self.findings.append(Finding(code, self.about, field, _short(what), cure, Severity.WARNING))

    @property
    def refused(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


def _short(what: str) -> str:
    """A sentence that quotes a megabyte is of no use; its beginning and its end say what it is about."""
    return what if len(what) <= _LONGEST else f"{what[: _LONGEST // 2]} … {what[-_LONGEST // 2 :]}"
