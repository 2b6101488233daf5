"""The pull path: the rows that a question should bring to mind, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

from popoto.models import Model, Query
from popoto.models.searched import adjacent, blended, mixing
from popoto.queries import fusion
from popoto.queries.hits import Hit
from popoto.recipes.context_assembler import signals
from popoto.recipes.context_assembler.cues import familiarity
from popoto.storage import Op, together

# Rows of each ranking by words or by meaning: the best of a blend are seldom beyond.
CANDIDATES: Final = 200
# What fields that rank by the question weigh together, and associations weigh, where score_weights do not name them;
# the signals' weights together are 1.
ASKED: Final = 3.0
ASSOCIATED: Final = 0.5
# Associations weaker than this are not followed.
WEAKEST: Final = 0.01
HOP_BUDGET: Final = 16_000
# Associations begin at rows that score this part of the best: what is begun at gains nothing by being associated.
SEEDS_FROM: Final = 0.5


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a pull ranks by.

    Attributes:
        model: the model.
        weights: as they were given.
        most: how many records are wanted; twice as many become candidates.
        depth: how far associations are followed.
        method: `minmax` or `rrf`.
        neighbours, group_by: as `Query.fuse` takes them.
    """

    model: type[Model]
    weights: Mapping[str, float]
    most: int
    depth: int
    method: fusion.Method
    neighbours: str | tuple[str, float] | None
    group_by: str | tuple[str, float] | None

    def signals(self) -> dict[str, float]:
        """The weights of the signals."""
        return signals.weighed(self.model, self.weights)

    def asked(self) -> dict[str, str]:
        """The fields that rank by the question, by what they offer."""
        found = {what: signals.offering(self.model, what) for what in ("words", "meaning")}
        return {what: name for what, name in found.items() if name is not None and self.weights.get(name) != 0}

    def needs_words(self) -> bool:
        """Whether only rows with a word of the question, as the model's ExistenceFilter knows words, can answer it."""
        asked, fields = self.asked(), cast("Mapping[str, Any]", self.model._meta.fields)
        filtering, words = signals.offering(self.model, "existence"), asked.get("words")
        if filtering is None or "meaning" in asked:
            return False
        return words is None or fields[words].analyzer.name == fields[filtering].analyzer.name

    def settled(self) -> dict[str, float]:
        """The weight of every ranking: as given, else a share."""
        found = self.signals()
        unit = sum(found.values()) or 1.0
        asked = self.asked()
        for name in asked.values():
            found[name] = float(self.weights.get(name, ASKED * unit / len(asked)))
        linked = signals.offering(self.model, "associations")
        if linked is not None:
            found[linked] = float(self.weights.get(linked, ASSOCIATED * unit))
        return found


@dataclass(slots=True)
class Pulled:
    """What a pull found.

    Attributes:
        hits: the candidates, best first.
        known: by cue text whether it may be known.
        numbers: the candidates' numbers by key and signal.
    """

    hits: list[Hit] = field(default_factory=list)
    known: dict[str, bool | None] = field(default_factory=dict)
    numbers: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(slots=True)
class Found:
    """Rankings so far.

    Attributes:
        lists: scores by key for each.
        hits: rows by key, with all their numbers once the rankings are complete.
        rows: rows that came with a ranking by meaning.
        beside: rows that no ranking has, and that lie beside the best.
    """

    lists: dict[str, dict[str, float]] = field(default_factory=dict)
    hits: dict[str, Hit] = field(default_factory=dict)
    rows: dict[str, Hit] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)


async def pulled(recipe: Recipe, query: Query[Any], texts: Sequence[str], *, following: bool = True) -> Pulled:
    """The candidates for some cues; none when the model's filter knows that no row has a word of any."""
    known = await familiarity(recipe.model, list(texts))
    if not texts or (recipe.needs_words() and all(one is False for one in known.values())):
        return Pulled(known=known)
    weights = recipe.settled()
    found = await _lists(recipe, query, " ".join(texts))
    linked = signals.offering(recipe.model, "associations") if following and recipe.depth > 0 else None
    if linked is not None and weights[linked] > 0:
        found.lists[linked] = await _associated(recipe, found, weights, linked)
    await _completed(recipe, query, found)
    await _extended(recipe, query, found, weights)
    order = await _ranked(recipe, query, found, weights)
    return Pulled(order[: 2 * recipe.most], known, {key: signals.raws(hit) for key, hit in found.hits.items()})


async def _lists(recipe: Recipe, query: Query[Any], text: str) -> Found:
    """Each ranking's best rows, all in one round trip where an embedding needs none."""
    asked, own = recipe.asked(), recipe.signals()
    most = max(CANDIDATES, 4 * recipe.most) if asked else 2 * recipe.most
    found = Found()
    plans: dict[str, Op[Any]] = {}
    words, meaning = asked.get("words"), asked.get("meaning")
    if words is not None:
        plans[words] = query._matching(words, text, most)
    if meaning is not None:
        plans[meaning] = query._meaning(text, None, most, "SUM", None, None, None, 1.0, True)
    for name in own:
        plans[name] = query._composing({name: 1.0}, 2 * recipe.most, "SUM", None, None, 1.0, None, True, {})
    for name, best in zip(plans, await together(list(plans.values())), strict=True):
        if name == words:
            found.lists[name] = dict(best)
        else:
            found.lists[name] = {hit.key: hit.score for hit in best}
            (found.hits if name in own else found.rows).update({hit.key: hit for hit in best})
    return found


async def _associated(recipe: Recipe, found: Found, weights: Mapping[str, float], linked: str) -> dict[str, float]:
    """What is associated with the best rows so far: those that answer the question, where something ranks by it."""
    asked = [name for name in recipe.asked().values() if found.lists[name]]
    chosen = {name: weights[name] for name in asked or found.lists}
    scores = _fused(recipe, found, chosen)
    best = max((one.score for one in scores.values()), default=0.0)
    near = [key for key, one in scores.items() if one.score >= SEEDS_FROM * best]
    seeds = sorted(near, key=lambda key: (-scores[key].score, key))[: recipe.most]
    if not seeds:
        return {}
    field: Any = recipe.model._meta.fields[linked]
    most = max(CANDIDATES, 4 * recipe.most)
    reached = await field._spreading(recipe.model, seeds, recipe.depth, None, WEAKEST, most, HOP_BUDGET)
    return dict(reached)


async def _completed(recipe: Recipe, query: Query[Any], found: Found) -> None:
    """Every candidate's row and its numbers; candidates that the query's conditions refuse are dropped."""
    own = list(recipe.signals())
    keys = list(dict.fromkeys(key for scores in found.lists.values() for key in scores))
    if own and not (len(own) == 1 and all(key in found.hits for key in keys)):
        found.hits = {hit.key: hit for hit in await signals.hits(query, keys, own)}
    elif not own:
        rows = await query._allowed([key for key in keys if key not in found.rows])
        known = {**{key: hit.row for key, hit in found.rows.items()}, **rows}
        found.hits = {key: Hit(known[key], key, 0.0, ()) for key in keys if key in known}
    for name in own:
        numbers = {key: signals.raws(hit).get(name) for key, hit in found.hits.items()}
        found.lists[name] = {key: number for key, number in numbers.items() if number is not None}
    for name, scores in found.lists.items():
        found.lists[name] = {key: score for key, score in scores.items() if key in found.hits}


async def _extended(recipe: Recipe, query: Query[Any], found: Found, weights: Mapping[str, float]) -> None:
    """Take in the rows right before and after the best, which may have nothing of the question themselves."""
    order, _ = mixing(recipe.model._meta, recipe.neighbours, None)
    if order is None:
        return
    scores = _fused(recipe, found, weights)
    best = sorted(scores, key=lambda key: (-scores[key].score, key))[: min(recipe.most, CANDIDATES)]
    keys = await adjacent(recipe.model, order[0], {key: found.hits[key].row for key in best})
    unread = [key for key in keys if key not in found.hits]
    own = list(recipe.signals())
    if own:
        hits = {hit.key: hit for hit in await signals.hits(query, unread, own)}
    else:
        rows = await query._allowed(unread) if unread else {}
        hits = {key: Hit(row, key, 0.0, ()) for key, row in rows.items()}
    found.hits |= hits
    found.beside = [key for key in keys if key in found.hits and key not in scores]
    for name in own:
        numbers = {key: signals.raws(hit).get(name) for key, hit in hits.items()}
        found.lists[name] |= {key: number for key, number in numbers.items() if number is not None}


def _fused(recipe: Recipe, found: Found, weights: Mapping[str, float]) -> dict[str, fusion.Fused]:
    rankings = [
        fusion.ranking(name, found.lists[name], str) for name in weights if found.lists.get(name) and weights[name] > 0
    ]
    words = recipe.asked().get("words")
    for one in rankings:
        if one.name == words:
            # A row without any of the words scores 0, and that is the scale's lower end.
            one.least = 0.0
    return fusion.fused(rankings, recipe.method, fusion.RRF_K, weights) if rankings else {}


async def _ranked(recipe: Recipe, query: Query[Any], found: Found, weights: Mapping[str, float]) -> list[Hit]:
    scores = _fused(recipe, found, weights)
    for key in found.beside:
        scores.setdefault(key, fusion.Fused())
    rows = {key: found.hits[key].row for key in scores}
    order = await blended(recipe.model, scores, rows, recipe.neighbours, recipe.group_by)
    order = [key for key in order if scores[key].score > 0 or key not in found.beside]
    return [Hit(rows[key], key, scores[key].score, tuple(one for one in scores[key].parts if one.raw)) for key in order]
