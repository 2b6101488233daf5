"""Mutants that say of themselves what is not so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mutants.mutant import Executing, Mutant
from popoto.storage import Batch, Info
from popoto.storage.steps import needed


class InventsCapability(Mutant):
    """Claims a capability that its store lacks."""

    killed_by = "test_capabilities"

    def info(self, info: Info) -> Info:
        return replace(info, capabilities=info.capabilities | {"cmsgpack"})


class InventsName(Mutant):
    """Claims a capability that the protocol does not know."""

    killed_by = "test_capabilities"

    def info(self, info: Info) -> Info:
        return replace(info, capabilities=info.capabilities | {"telepathy"})


class ClaimsUnannounced(Mutant):
    """Claims what its plug-in does not announce."""

    killed_by = "test_capabilities"

    def info(self, info: Info) -> Info:
        return replace(info, capabilities=info.capabilities | {"persistent"})


class RunsWhatItDeclines(Mutant):
    """Runs geospatial commands although it does not claim them."""

    killed_by = "test_geo"

    def info(self, info: Info) -> Info:
        return replace(info, capabilities=info.capabilities - {"geo"})


class DeclinesSilently(Mutant):
    """Skips the running test where it meets a capability that it claims and has not got."""

    killed_by = "test_geo"

    def execute(self, batch: Batch) -> Executing:
        if any("geo" in needed(step) for step in batch):
            pytest.skip("no geo here")
        return (yield batch)  # type: ignore[no-any-return]


class NamesNoServer(Mutant):
    """Does not say which server it is."""

    killed_by = "test_capabilities"

    def info(self, info: Info) -> Info:
        return replace(info, server="")


class SendsWhatItDeclines(Mutant):
    """Refuses a step that it does not claim only after it has run those beside it."""

    killed_by = "test_capabilities"

    def execute(self, batch: Batch) -> Executing:
        known = {"cmsgpack"}
        sound = [step for step in batch if not known & needed(step)]
        if len(sound) < len(batch):
            yield sound
        return (yield batch)  # type: ignore[no-any-return]
