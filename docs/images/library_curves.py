"""The curves that popoto itself gives, asked over the fake: `plot_curves.py` draws them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from drawing import Plot

from popoto import (
    AccessTrackerMixin,
    ConfidenceField,
    CyclicDecayField,
    DecayingSortedField,
    Defaults,
    FloatField,
    IndexedField,
    InteractionWeight,
    KeyField,
    Model,
    ObservationProtocol,
    PredictionLedgerMixin,
    RecallProposal,
    SortedField,
    TemporalPeriod,
    WriteFilterMixin,
    clock,
    connect,
    connection,
)
from popoto.recipes.policy_cache.statistics import wilson_ci_lower

DAY = 86_400
# A multiple of 7, 30 and 90 days, so that cycles of the phase 0 are at their top.
DAWN = 18_900.0 * DAY
Table = dict[str, dict[float, float]]


def curves(table: Table) -> dict[str, Callable[[float], float]]:
    """A table's columns as functions of x."""
    return {name: column.__getitem__ for name, column in table.items()}


def signals(model: Any, names: tuple[str, ...], days: float) -> dict[str, float]:
    """What several fields of a model's one row give after days."""
    (hit,) = model.query.composite_score(dict.fromkeys(names, 1.0), now=DAWN + days * DAY, explain=True)
    return {part.signal: part.raw for part in hit.parts}


class Read(AccessTrackerMixin, Model):
    """A row that is read."""

    _max_access_log = 15
    name = KeyField()


def access(native: Any) -> Plot:
    """Forty reads, confirmed after the 10th, 20th and 40th, and discarded after the 30th."""
    row, table = Read.create(name="a"), defaultdict[str, dict[float, float]](dict)
    for number in range(41):
        if number:
            row.on_read()
        if number == 30:
            row.discard_staged_access()
        elif number % 10 == 0:
            row.confirm_access()
        table["access_count"][number] = row.access_count
        table["staged"][number] = native.llen("$AT:Read:staged:Read:a")
        table["moments kept, _max_access_log 15"][number] = native.llen("$AT:Read:access_log:Read:a")
    points = tuple(range(41))
    return Plot("accesses.svg", "reads", "counted", 40, points, curves(table), names_above=True)


class Filtered(WriteFilterMixin, Model):
    """A row that is worth its score."""

    score = FloatField(default=0.0)
    name = KeyField()

    def compute_filter_score(self) -> float:
        """The score itself."""
        return self.score


def filtering(native: Any) -> Plot:
    """What a save does with scores from 0 to 1."""
    points = tuple(number / 50 for number in range(51))
    table = defaultdict[str, dict[float, float]](dict)
    for score in points:
        row = Filtered.create(name=f"{score}", score=score)
        table["saved (1) or not (0)"][score] = native.exists(f"Filtered:{score}")
        table["priority in a ranking"][score] = native.zscore("$WF:Filtered:priority", row.pk) or 0.0
    return Plot("write_filter.svg", "score", "what is kept", 1.6, points, curves(table), names_above=True)


def errors() -> Plot:
    """The error of a number by what came."""
    points = tuple(number / 10 for number in range(101))
    table = {
        f"{predicted:g} was predicted": {
            actual: PredictionLedgerMixin.compute_prediction_error({"n": predicted}, {"n": actual}) for actual in points
        }
        for predicted in (0.0, 2.0, 5.0, 8.0)
    }
    return Plot("prediction_errors.svg", "what came", "error", 1.6, points, curves(table), names_right=True)


class Proposed(Model):
    """A row that is proposed, on a model without primitives."""

    name = KeyField()


def proposals() -> Plot:
    """Proposals in three hours, ten every six minutes."""
    table = defaultdict[str, dict[float, float]](dict)
    rows = Proposed.bulk_create(Proposed(name=f"{number}") for number in range(300))
    points = tuple(step / 10 for step in range(31))
    for name, answered in (("none is answered", 0), ("half are answered at once", 5), ("nine of ten are", 9)):
        for step, hours in enumerate(points[1:]):
            batch = rows[10 * step : 10 * step + 10]
            with clock.frozen(lambda hours=hours: DAWN + hours * 3600):
                RecallProposal.create_batch(batch, partition=name)
                pipeline = connection().pipeline()
                for row in batch[:answered]:
                    RecallProposal.resolve(row, "used", partition=name, pipeline=pipeline)
                pipeline.execute()
                table[name][hours] = len(RecallProposal.get_pending(Proposed, name))
        table[name][0.0] = 0
    return Plot("proposals.svg", "hours", "pending", 120, points, curves(table), names_above=True)


class Rhythmic(Model):
    """A row with a weekly cycle."""

    name = KeyField()
    rhythm = CyclicDecayField(cycles=[(TemporalPeriod.WEEKLY, 1.0)])


def outcomes() -> Plot:
    """A cycle's amplitude by how often an outcome was reported."""
    points, table = tuple(range(9)), defaultdict[str, dict[float, float]](dict)
    for outcome in ("acted", "dismissed", "contradicted", "used"):
        row = Rhythmic.create(name=outcome)
        for number in points:
            if number:
                ObservationProtocol.on_context_used([row], {row.pk: outcome})
            table[outcome][number] = row.strengthen_cycle("rhythm", factor=1.0)[0][1]
    table["used, deferred"] = table.pop("used")
    return Plot(
        "outcomes.svg", "reports of the outcome", "amplitude of a cycle", 5, points, curves(table), names_above=True
    )


class Believed(Model):
    """A row that signals move."""

    name = KeyField()
    certainty = ConfidenceField()


def confidence() -> Plot:
    """Confidence by the number of signals."""
    courses: dict[str, Callable[[int], float]] = {
        "always 0.9": lambda number: 0.9,
        "0.9, one 0.1 at the tenth": lambda number: 0.1 if number == 10 else 0.9,
        "0.9 and 0.1 in turn": lambda number: (0.1, 0.9)[number % 2],
    }
    points, table = tuple(range(21)), defaultdict[str, dict[float, float]](dict)
    for name, signal in courses.items():
        row = Believed.create(name=name)
        table[name][0] = row.certainty
        for number in points[1:]:
            table[name][number] = ConfidenceField.update_confidence(row, "certainty", signal(number))
    return Plot("confidence.svg", "signals", "confidence", 1.0, points, curves(table))


class Forgotten(Model):
    """A row that decays."""

    name = KeyField()
    base = FloatField(default=1.0)
    fresh = DecayingSortedField(base_score_field="base")


def decay() -> Plot:
    """What is left after days."""
    for name, base in (("one", 1.0), ("six", 6.0)):
        Forgotten(name=name, base=base, fresh=DAWN).save(skip_auto_now=True)
    # Close together where the curves are steep.
    points = tuple(0.4 + 29.6 * (step / 60) ** 2 for step in range(61))
    table = defaultdict[str, dict[float, float]](dict)
    for days in points:
        for rate in (0.1, 0.5, 1.0):
            for hit in Forgotten.query.top_by_decay(decay_rate=rate, now=DAWN + days * DAY, explain=True):
                table[f"rate {rate:g}{', base 6' if hit.row.name == 'six' else ''}"][days] = hit.score
    names = ("rate 0.1", "rate 0.5", "rate 1", "rate 0.5, base 6")
    return Plot(
        "decay.svg", "days", "score", 4.0, points, curves({name: table[name] for name in names}), names_right=True
    )


class Pressing(Model):
    """A row with a daily cycle that presses."""

    name = KeyField()
    alone = DecayingSortedField(decay_rate=0.5)
    urgent = CyclicDecayField(decay_rate=0.5, cycles=[(TemporalPeriod.DAILY, 0.3)], pressure_rate=0.1)


def cycles() -> Plot:
    """What a cycle and pressure add to decay."""
    row = Pressing(name="a", alone=DAWN, urgent=DAWN)
    with clock.frozen(lambda: DAWN):
        row.save(skip_auto_now=True)
    points = tuple(0.5 + step / 16 for step in range(129))
    names = {"alone": "decay alone", "urgent": "a daily cycle, and pressure that is resolved on day 4"}
    table: Table = {title: {} for title in names.values()}
    for days in points:
        if days == 4:
            with clock.frozen(lambda: DAWN + 4 * DAY):
                row.resolve_pressure("urgent")
        for name, score in signals(Pressing, tuple(names), days).items():
            table[names[name]][days] = score
    return Plot("cycles.svg", "days", "score", 2.0, points, curves(table), names_right=True)


def wilson() -> Plot:
    """The lower end of Wilson's interval by the number of events."""
    courses: dict[str, Callable[[int], int]] = {
        "all succeed": lambda total: total,
        "one in ten fails": lambda total: total - total // 10,
        "one in four fails": lambda total: total - total // 4,
    }
    points = tuple(range(31))
    table: Table = {
        name: {total: wilson_ci_lower(successes(total), total) for total in points}
        for name, successes in courses.items()
    }
    table["where a policy begins"] = dict.fromkeys(points, Defaults.WILSON_CI_THRESHOLD)
    return Plot("wilson.svg", "events", "lower bound of the rate of success", 1.0, points, curves(table))


class Weighed(Model):
    """A row whose base is the weight of who said it."""

    name = KeyField()
    weight = FloatField(default=1.0)
    fresh = DecayingSortedField(decay_rate=0.5, base_score_field="weight")


def weights() -> Plot:
    """How rows of several sources and roles decay."""
    pairs = (("HUMAN", "EXECUTIVE"), ("HUMAN", "MANAGER"), ("AGENT", "PEER"), ("SYSTEM", "SUBORDINATE"))
    for source, role in pairs:
        weight = InteractionWeight.combine(getattr(InteractionWeight, source), getattr(InteractionWeight, role))
        Weighed(name=f"{source}, {role}", weight=weight, fresh=DAWN).save(skip_auto_now=True)
    points = tuple(float(day) for day in range(1, 62))
    table = defaultdict[str, dict[float, float]](dict)
    for days in points:
        for hit in Weighed.query.top_by_decay(now=DAWN + days * DAY, explain=True):
            table[hit.row.name][days] = hit.score
    ordered = {f"{source}, {role}": table[f"{source}, {role}"] for source, role in pairs}
    return Plot("interaction_weights.svg", "days", "score", 50, points, curves(ordered), names_right=True)


class Periodic(Model):
    """A row whose scores are its resonances alone: its base is 0."""

    name = KeyField()
    base = FloatField(default=0.0)
    weekly = CyclicDecayField(base_score_field="base", cycles=[(TemporalPeriod.WEEKLY, 1.0)])
    monthly = CyclicDecayField(base_score_field="base", cycles=[(TemporalPeriod.MONTHLY, 1.0)])
    quarterly = CyclicDecayField(base_score_field="base", cycles=[(TemporalPeriod.QUARTERLY, 1.0)])


def periods() -> Plot:
    """What a cycle of each period adds."""
    Periodic(name="a", weekly=DAWN, monthly=DAWN, quarterly=DAWN).save(skip_auto_now=True)
    points = tuple(step / 2 for step in range(181))
    table = defaultdict[str, dict[float, float]](dict)
    for days in points:
        for name, score in signals(Periodic, ("weekly", "monthly", "quarterly"), days).items():
            table[name.upper()][days] = score
    return Plot("periods.svg", "days", "resonance", 2.0, points, curves(table), names_right=True, bottom=-2.0)


class Plain(Model):
    """A row that decays as `Defaults` say."""

    name = KeyField()
    fresh = DecayingSortedField()


def defaults() -> Plot:
    """A row's score while a default changes."""
    Plain(name="a", fresh=DAWN).save(skip_auto_now=True)
    points = tuple(1 + step / 2 for step in range(41))
    table = defaultdict[str, dict[float, float]](dict)
    usual = Defaults.DECAY_RATE
    courses: dict[str, Callable[[float], float]] = {
        "DECAY_RATE 0.1": lambda days: 0.1,
        "DECAY_RATE 0.4": lambda days: 0.4,
        "0.1, and 0.4 from day 10 on": lambda days: 0.1 if days < 10 else 0.4,
    }
    for name, course in courses.items():
        for days in points:
            Defaults.DECAY_RATE = course(days)
            (hit,) = Plain.query.top_by_decay(now=DAWN + days * DAY, explain=True)
            table[name][days] = hit.score
    Defaults.DECAY_RATE = usual
    return Plot("defaults.svg", "days", "score", 1.0, points, curves(table))


class Trusted(Model):
    """A row that decays and is trusted."""

    name = KeyField()
    fresh = DecayingSortedField(decay_rate=0.5)
    trust = SortedField(default=0.4)


def composite() -> Plot:
    """What several signals of a row add up to."""
    Trusted(name="a", fresh=DAWN).save(skip_auto_now=True)
    points = tuple(0.5 + step / 2 for step in range(41))
    table = defaultdict[str, dict[float, float]](dict)
    for aggregate in ("SUM", "MAX", "MIN"):
        for days in points:
            signals = {"fresh": 1.0, "trust": 1.0}
            (hit,) = Trusted.query.composite_score(signals, aggregate=aggregate, now=DAWN + days * DAY, explain=True)
            table[aggregate][days] = hit.score
    return Plot("composite.svg", "days", "score", 2.0, points, curves(table), names_right=True)


class Found(Model):
    """A row of a list to be fused."""

    name = KeyField()


def fused() -> Plot:
    """What a list gives to its ranks, in parts of what it gives to its first."""
    ranks = tuple(range(1, 30))
    for rank in ranks:
        Found.create(name=f"{rank:02}")
    places = [(f"Found:{rank:02}", 1 / rank) for rank in ranks]
    ways = {"minmax, of scores that fall as 1/rank": {}, **{f"rrf, k {k}": {"k": k} for k in (60, 10, 1)}}
    table: Table = {}
    for name, words in ways.items():
        scores = {int(row.name): row._fused_score for row in Found.query.fuse(list=places, limit=30, **words)}
        table[name] = {rank: scores[rank] / scores[1] for rank in ranks}
    return Plot("fused.svg", "rank in the list", "part of the first one's", 1.6, ranks, curves(table), names_right=True)


class Said(Model):
    """A turn of a conversation."""

    number = KeyField(type=int)
    session = IndexedField()
    place = SortedField(type=int)


def conversation() -> Plot:
    """The scores of turns around the two that a search likes."""
    turns = tuple(range(1, 22))
    for turn in turns:
        Said.create(number=turn, session="ab"[turn > 11], place=turn)
    liked = [(f"Said:{turn}", {5: 1.0, 15: 0.6}.get(turn, 0.0)) for turn in turns]
    ways: dict[str, dict[str, Any]] = {
        "words alone": {},
        "neighbours": {"neighbours": "place"},
        "neighbours, and two sessions": {"neighbours": "place", "group_by": "session"},
    }
    table: Table = {}
    for name, words in ways.items():
        rows = Said.query.fuse(words=liked, limit=30, **words)
        table[name] = {row.number: row._fused_score for row in rows}
    return Plot("conversation.svg", "turn", "score", 2.0, turns, curves(table), names_right=True)


def plots() -> Iterator[Plot]:
    """All of them."""
    native = connect("fake://").native
    yield from (access(native), filtering(native), errors(), proposals(), outcomes(), weights(), periods())
    yield from (confidence(), decay(), cycles(), wilson(), defaults(), composite(), fused(), conversation())
