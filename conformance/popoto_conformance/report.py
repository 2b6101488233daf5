"""The report of a run: what was verified, failed, declined, and why it conforms or not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from popoto.storage import CAPABILITIES, PROTOCOL, Info

VERDICTS: Final = ("verified", "failed", "declined", "not_applicable", "deviating")


@dataclass
class Report:
    """What a run has found so far.

    Attributes:
        url: masked.
        info: what the backend says of itself.
        verdicts: one of `VERDICTS` for each case by its id, `test_geo.py::test_circle[sync]`.
        reasons: why a case was not run, by its id.
        stray: skips that the suite did not hand out, with their reasons.
        problems: what is wrong with the run as a whole.
        deselected: how many cases the command line left out.
        proven: the capabilities that cases were verified for.
        complete: whether every module of the suite was collected whole.
    """

    url: str
    info: Info
    required: tuple[str, ...] = ()
    deviations: Mapping[str, str] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    stray: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    deselected: int = 0
    proven: set[str] = field(default_factory=set)
    complete: bool = True

    def note(self, name: str, verdict: str, reason: str = "") -> None:
        """Note a case's verdict; a failure is never overwritten."""
        if self.verdicts.get(name) != "failed":
            self.verdicts[name] = verdict
        if reason:
            self.reasons[name] = reason

    @property
    def groups(self) -> dict[str, dict[str, int]]:
        """How many cases of each group have each verdict."""
        counts: dict[str, dict[str, int]] = {}
        for name, verdict in sorted(self.verdicts.items()):
            counts.setdefault(group(name), dict.fromkeys(VERDICTS, 0))[verdict] += 1
        return counts

    def named(self, verdict: str) -> list[str]:
        """The cases with a verdict."""
        return sorted(name for name, one in self.verdicts.items() if one == verdict)

    @property
    def faults(self) -> list[str]:
        """Everything that stands against conformance, one line each."""
        faults = [*self.problems, *(f"failed: {name}" for name in self.named("failed"))]
        faults += [f"STRAY skip: {name} ({reason})" for name, reason in sorted(self.stray.items())]
        missing = set(self.required) - self.info.capabilities
        return faults + [f"required and not claimed: {name}" for name in sorted(missing)]

    @property
    def partial(self) -> bool:
        """Whether the command line left cases out."""
        return self.deselected > 0 or not self.complete

    @property
    def conforms(self) -> bool:
        """Whether the whole suite was run and nothing stands against conformance."""
        return not self.faults and not self.partial and bool(self.named("verified"))

    @property
    def unproven(self) -> list[str]:
        """Claims that no case has verified."""
        return sorted(self.info.capabilities - self.proven)

    @property
    def declined(self) -> list[str]:
        """Capabilities that are not claimed."""
        return sorted(CAPABILITIES.keys() - self.info.capabilities)

    def facts(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "url": self.url,
            "server": self.info.server,
            "version": self.info.version,
            "cluster": self.info.cluster,
            "protocol": PROTOCOL,
            "conforms": self.conforms,
            "partial": self.partial,
            "faults": self.faults,
            "groups": self.groups,
            "claims": sorted(self.info.capabilities),
            "declined": self.declined,
            "unproven": self.unproven,
            "deviations": dict(self.deviations),
            "stray": dict(self.stray),
            "failed": self.named("failed"),
            "declined_cases": self.named("declined"),
            "not_applicable": {name: self.reasons.get(name, "") for name in self.named("not_applicable")},
            "notes": list(self.info.notes),
        }

    def write(self, path: str) -> None:
        """Write the report as JSON."""
        Path(path).write_text(json.dumps(self.facts(), indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def lines(self) -> list[str]:
        """The report for a terminal."""
        rows = [("group", *(verdict.replace("_", " ") for verdict in VERDICTS))]
        rows += [(name, *(str(counts[verdict] or "-") for verdict in VERDICTS)) for name, counts in self.groups.items()]
        lines = [f"{self.url}: {self.info.server} {self.info.version}, protocol {PROTOCOL}", "", *_table(rows), ""]
        lines += _listed("claims", sorted(self.info.capabilities))
        lines += _listed("declined", self.declined)
        lines += _listed("claimed, but no case could prove it", self.unproven if not self.partial else [])
        lines += [f"deviation: {name}: {reason}" for name, reason in sorted(self.deviations.items())]
        lines += sorted({f"{group(name)}: {self.reasons[name]}" for name in self.named("not_applicable")})
        return [*lines, *self.faults, self.verdict]

    @property
    def verdict(self) -> str:
        """The closing line."""
        if self.faults:
            return f"DOES NOT CONFORM to protocol {PROTOCOL}: {_counted(len(self.faults))}"
        if self.conforms:
            return f"CONFORMS to protocol {PROTOCOL}"
        return "nothing failed, but only a part of the suite was run: this says nothing of conformance"


def group(name: str) -> str:
    """The group of a case: `geo` for `test_geo.py::test_circle[sync]`."""
    return name.partition("::")[0].removesuffix(".py").removeprefix("test_")


def _counted(count: int) -> str:
    return "1 fault" if count == 1 else f"{count} faults"


def _listed(title: str, names: Iterable[str]) -> list[str]:
    text = ", ".join(names)
    return [f"{title}: {text}"] if text else []


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
