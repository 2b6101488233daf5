"""Mutants that get places, distances and units wrong."""

from __future__ import annotations

from mutants.mutant import Argv, Mutant, word
from popoto.storage import Reply, Step


class SwapsPositions(Mutant):
    """Answers latitude before longitude."""

    killed_by = "test_geo"

    def reply(self, step: Step, reply: Reply) -> Reply:
        swapped = word(step) == b"GEOPOS" and isinstance(reply, list)
        return [place and place[::-1] for place in reply] if swapped else reply


class SwapsAxes(Mutant):
    """Takes latitude for longitude and gives it back so, which shows in distances only."""

    killed_by = "test_geo"

    def argv(self, argv: Argv) -> Argv:
        at = {b"GEOADD": 2, b"GEOSEARCH": 3}.get(argv[0])
        if at is None or b"FROMMEMBER" in argv:
            return argv
        return (*argv[:at], argv[at + 1], argv[at], *argv[at + 2 :])

    def reply(self, step: Step, reply: Reply) -> Reply:
        swapped = word(step) == b"GEOPOS" and isinstance(reply, list)
        return [place and place[::-1] for place in reply] if swapped else reply


class IgnoresUnitOfRadius(Mutant):
    """Takes every radius for metres."""

    killed_by = "test_geo"

    def argv(self, argv: Argv) -> Argv:
        if b"BYRADIUS" not in argv:
            return argv
        at = argv.index(b"BYRADIUS")
        return (*argv[: at + 2], b"m", *argv[at + 3 :])


class IgnoresUnitOfDistance(Mutant):
    """Gives every distance of two members in metres."""

    killed_by = "test_geo"

    def argv(self, argv: Argv) -> Argv:
        return (*argv[:4], b"m") if argv[0] == b"GEODIST" else argv


class TakesMilesForKilometres(Mutant):
    """Takes miles for kilometres."""

    killed_by = "test_geo"

    def argv(self, argv: Argv) -> Argv:
        return tuple(b"km" if part == b"mi" else part for part in argv) if argv[0].startswith(b"GEO") else argv


class FarthestFirst(Mutant):
    """Gives the members of a circle from the farthest."""

    killed_by = "test_geo"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return reply[::-1] if word(step) == b"GEOSEARCH" and isinstance(reply, list) else reply


class IgnoresGeoCount(Mutant):
    """Gives all members of a circle where the nearest few were asked for."""

    killed_by = "test_geo"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"GEOSEARCH" or b"COUNT" not in argv:
            return argv
        at = argv.index(b"COUNT")
        return argv[:at] + argv[at + 2 :]


class LeavesCentreOut(Mutant):
    """Leaves the member at the centre of a circle out."""

    killed_by = "test_geo"

    def reply(self, step: Step, reply: Reply) -> Reply:
        if word(step) != b"GEOSEARCH" or not isinstance(reply, list):
            return reply
        return [row for row in reply if row[1] > 0]


class ZeroForMissingDistance(Mutant):
    """Gives distance 0 to a member that is not there."""

    killed_by = "test_geo"

    def reply(self, step: Step, reply: Reply) -> Reply:
        return 0.0 if word(step) == b"GEODIST" and reply is None else reply


class MovesInvalidPlaces(Mutant):
    """Moves a latitude beyond the map to its edge."""

    killed_by = "test_geo"

    def argv(self, argv: Argv) -> Argv:
        if argv[0] != b"GEOADD":
            return argv
        latitude = max(-85.0, min(85.0, float(argv[3])))
        longitude = max(-180.0, min(180.0, float(argv[2])))
        return (*argv[:2], repr(longitude).encode(), repr(latitude).encode(), *argv[4:])
