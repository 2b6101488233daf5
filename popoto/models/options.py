"""What is known of a model class: its fields, its options, the keys of its rows and indexes."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from types import MappingProxyType
from typing import Any, Final

from popoto.exceptions import ModelException
from popoto.fields import Field
from popoto.fields.companions import Companion
from popoto.fields.outcomes import OUTCOMES
from popoto.fields.recall_proposal import proposals
from popoto.fields.signals import Signal
from popoto.fields.sources import TEXT_CODES, Index
from popoto.keys import CLASS_SET, COMPOSITE, EXPIRY_LEDGER, EXPIRY_RECEIPTS, is_respelled, part, spellings
from popoto.models.scripts import RowScripts, row_scripts, schema_text
from popoto.storage import Layout
from popoto.storage.steps import Arg, arguments

META_OPTIONS: Final = ("order_by", "ttl", "indexes", "abstract", "connection", "hash_tag", "version_field")
_PLAIN_OPTIONS: Final = (
    ("abstract", bool, "True or False"),
    ("connection", str, "the name of a connection"),
    ("hash_tag", str, "a text"),
)
_INHERITED: Final = ("order_by", "ttl", "indexes", "connection", "hash_tag", "version_field")


@dataclass(frozen=True, slots=True)
class Keyspace:
    """A model's keys on one store.

    Attributes:
        prefix: what stands in front of every key.
        class_set: the set of all rows' keys.
        ledger, receipts: which rows expire when, and their index entries.
        schema: the indexes, as the scripts read them.
        companions: the companions, as the scripts read them where nothing is said.
        scripts: the scripts that change rows.
        key_order: the names of the key fields.
    """

    prefix: str
    class_set: bytes
    ledger: bytes
    receipts: bytes
    schema: tuple[bytes, ...]
    companions: tuple[bytes, ...]
    scripts: RowScripts
    key_order: tuple[str, ...]


class Options:
    """A model's `_meta`."""

    def __init__(
        self,
        model_name: str,
        fields: Mapping[str, Field[Any]],
        meta: Mapping[str, Any],
        companions: Iterable[Companion] = (),
        signals: Mapping[str, Signal] = MappingProxyType({}),
        *,
        observed: bool = False,
    ) -> None:
        self.model_name = model_name
        self.explicit_fields = {name: field for name, field in fields.items() if not name.startswith("_")}
        self.hidden_fields = {name: field for name, field in fields.items() if name.startswith("_")}
        self.fields: dict[str, Field[Any]] = {**self.explicit_fields, **self.hidden_fields}
        self.field_names = list(self.fields)
        self.name_bytes = tuple(name.encode() for name in self.fields)
        self.field_list = tuple(self.fields.values())
        # Most fields ask nothing by several keywords together.
        self.gathering = tuple(
            field for field in self.field_list if field.searches or type(field).gathered is not Field.gathered
        )
        self.renewing = tuple(field for field in self.field_list if field.renews)
        # What lies elsewhere first: others may look whether it has changed.
        preparing = (field for field in self.field_list if field.prepares)
        self.preparing = tuple(sorted(preparing, key=lambda field: not field.elsewhere))
        self.hooked = tuple(field for field in self.field_list if field.hooked)
        self.model: Any = None
        self.key_field_names = {name for name, field in self.fields.items() if field.key}
        self.auto_field_names = {name for name, field in self.fields.items() if field.auto}
        self.sorted_field_names = {name for name, field in self.fields.items() if _kind(field) == "Z"}
        self.indexed_field_names = {
            name for name, field in self.fields.items() if _kind(field) in ("S", "U") and not field.key
        }
        self.geo_field_names = {name for name, field in self.fields.items() if _kind(field) == "G"}
        self.relationship_field_names = {name for name, field in self.fields.items() if field.code == "r"}
        self.apart_field_names = tuple(name for name, field in self.fields.items() if field.apart)
        # What a row is read by: the fields of its hash, and the lists behind its key.
        self.read_names = [f"::{name}" if field.apart else name for name, field in self.fields.items()]
        self.places = {name: place for place, name in enumerate(self.field_names)}
        self.key_order = tuple(sorted(self.key_field_names))
        self.abstract = bool(meta.get("abstract", False))
        self.order_by: str | None = meta.get("order_by")
        self.ttl: int | None = meta.get("ttl")
        self.indexes: tuple[Any, ...] = _listed(model_name, meta.get("indexes", ()))
        self.connection: str | None = meta.get("connection")
        self.hash_tag: str = meta.get("hash_tag") or model_name
        self.version_field: str | None = meta.get("version_field")
        self.declared = {name: meta[name] for name in _INHERITED if name in meta}
        self._keyspaces: dict[Layout, Keyspace] = {}
        self._nearest: tuple[Layout | None, Keyspace | None] = (None, None)
        for name, kind, words in _PLAIN_OPTIONS:
            if not isinstance(meta.get(name), kind | None):
                raise ModelException(f"{model_name}.Meta.{name}={meta[name]!r} must be {words}")
        self._check()
        # Fields with a list of distinct values; the only key field has the class set, which costs nothing more.
        self.listed = tuple(
            name
            for name, field in self.fields.items()
            if field.index is not None
            and field.index.kind in ("S", "U")
            and field.index.code in TEXT_CODES
            and self.key_order != (name,)
        )
        # Every index that rows have entries in.
        self.row_indexes = self._row_indexes()
        self._keep_beside(companions, signals, observed)
        self._find_plain()

    # -- definition

    def _find_plain(self) -> None:
        """Note what can be done at a glance, as no field has a say of its own in it."""
        # Fields whose values of just this type may all be stored, up to a length.
        self.unquestioned = {
            name: (field.settled_type, field.max_length if field.settled_type is str else None)
            for name, field in self.fields.items()
            if (field.settled_type in (str, int, bool) or (field.settled_type is float and not field.indexed))
            and type(field).complaint is Field.complaint
            and not field.validates
        }
        # Fields of which a stored row asks more than a new instance does.
        self.demanding = tuple(field.name for field in self.field_list if not field.null or field.validates)
        # Whether a row's key may be told from its key values at a glance: no field has a say of its own in it.
        searched = any(field.searches for field in self.field_list)
        self.settled_keys = not searched and all(_is_settled(self.fields[name]) for name in self.key_order)
        # Fields on which nothing else of the row depends.
        indexed = {name for index in self.row_indexes for name in (*index.field.split(":"), *index.partitions)}
        bound = bool(self.companions or self.version_field)
        self.lone_field_names = frozenset() if bound else self.fields.keys() - indexed

    def _keep_beside(self, companions: Iterable[Companion], signals: Mapping[str, Signal], observed: bool) -> None:
        """Note what fields and mixins keep beside the rows, and what they offer to rankings."""
        self.companions = self._kept(companions, observed=observed)
        self.scripts = row_scripts(
            (one.fragment for one in self.companions),
            composites=bool(self.indexes),
            lists=bool(self.listed),
            schema=schema_text(
                self.db_class_set_key, self.schema_words("", self.row_indexes), alone=not self.companions
            ),
        )
        self.signals: dict[str, Signal] = dict(signals)
        for field in self.field_list:
            self.signals |= field.signals(self.model_name)

    def _check(self) -> None:
        if self.order_by is not None and (
            not isinstance(self.order_by, str) or self.order_by.removeprefix("-") not in self.fields
        ):
            raise ModelException(f"{self.model_name}.Meta.order_by={self.order_by!r} names no field of the model")
        ttl = self.ttl
        if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int) or ttl <= 0):
            raise ModelException(f"{self.model_name}.Meta.ttl={ttl!r} must be a positive int of seconds, or None")
        self._check_version()
        self._check_indexes()
        for field in self.field_list:
            field.check_model(self)
            for name in field.index.partitions if field.index else ():
                if name not in self.fields:
                    raise ModelException(
                        f"{self.model_name}.{field.name}: partition_by names {name!r}, "
                        f"which is no field{self.near(name)}"
                    )

    def _kept(self, mixins: Iterable[Companion], *, observed: bool) -> tuple[Companion, ...]:
        """What fields and mixins keep beside rows."""
        found = [one for field in self.field_list for one in field.companions(self.model_name)]
        found += mixins
        # Whether an outcome changes anything that the rows keep: then their proposals are kept with them.
        self.observed = observed or any(field.outcome_actions(one) for field in self.field_list for one in OUTCOMES)
        if self.observed:
            found.append(proposals(self.model_name))
        self._check_partitions(found)
        return tuple(found)

    def _check_partitions(self, companions: Iterable[Companion]) -> None:
        for one in companions:
            for name in one.partitions:
                if name not in self.fields:
                    raise ModelException(
                        f"{self.model_name}.{one.name}: partition_by names {name!r}, which is no field{self.near(name)}"
                    )
                if self.fields[name].code == "x":
                    raise ModelException(
                        f"{self.model_name}.{one.name}: partition_by names {name!r}, whose "
                        f"{self.fields[name].type.__name__} has no one text: name a number, text, date or relationship"
                    )

    def _check_version(self) -> None:
        name = self.version_field
        if name is not None and (name not in self.fields or self.fields[name].type is not int or self.fields[name].key):
            raise ModelException(
                f"{self.model_name}.Meta.version_field={name!r} must name an int field that is no key: "
                f"declare {name} = IntField(default=0)"
            )

    def _check_indexes(self) -> None:
        for entry in self.indexes:
            good = isinstance(entry, tuple | list) and len(entry) == 2 and isinstance(entry[1], bool)
            names = entry[0] if good and isinstance(entry[0], tuple | list) else ()
            if not names or not all(name in self.fields for name in names):
                raise ModelException(
                    f"{self.model_name}.Meta.indexes: {entry!r} is not ((field names...), unique as True or False)"
                )
            for name in names:
                if self.fields[name].code == "x":
                    raise ModelException(
                        f"{self.model_name}.Meta.indexes: {name} holds {self.fields[name].type.__name__}, which has no "
                        "one text: index numbers, texts, dates or relationships"
                    )

    def near(self, name: str, among: Iterable[str] | None = None) -> str:
        """A hint at the names nearest to a wrong one, as the end of a sentence."""
        names = list(self.explicit_fields if among is None else among)
        close = difflib.get_close_matches(name, names, 3)
        if close:
            return f"; did you mean {' or '.join(repr(one) for one in close)}?"
        return f"; there are {', '.join(sorted(names))}" if names else ""

    @property
    def filter_query_params_by_field(self) -> dict[str, set[str]]:
        """The keywords that `filter()` takes, by field."""
        return {name: field.get_filter_query_params(name) for name, field in self.fields.items()}

    # -- keys

    @cached_property
    def read_words(self) -> tuple[bytes, ...]:
        """What a row is read by as `rows.lua` reads it."""
        return arguments((len(self.read_names), *self.read_names))

    @property
    def db_class_key(self) -> str:
        """What every row's key begins with, apart from a store's own prefix."""
        return self.model_name

    @property
    def db_class_set_key(self) -> str:
        """The set of all rows' keys, apart from a store's own prefix."""
        return f"{CLASS_SET}:{self.model_name}"

    @property
    def db_key_length(self) -> int:
        """How many parts a row's key has."""
        return 1 + len(self.key_order)

    def _row_indexes(self) -> tuple[Index, ...]:
        own = [field.index for field in self.field_list if field.index is not None]
        own += [index for field in self.field_list for index in field.more_indexes()]
        composite = [
            Index("C" if unique else "c", COMPOSITE, ":".join(names), "", tuple(names))
            for names, unique in self.indexes
        ]
        return (*own, *composite)

    def row_key(self, values: Mapping[str, Any]) -> str:
        """The key of the row with these key values, apart from a store's own prefix."""
        return ":".join([self.model_name, *[part(values[name]) for name in self.key_order]])

    def settled_key(self, values: Mapping[str, Any]) -> str | None:
        """The one key of the row with these key values; None where one needs to be converted or has two spellings."""
        parts = [self.model_name]
        for name in self.key_order:
            value = values[name]
            if type(value) is not self.fields[name].settled_type or is_respelled(value):
                return None
            parts.append(part(value))
        return ":".join(parts)

    def row_keys(self, values: Mapping[str, Any]) -> list[str]:
        """That key, then the spellings that 1.x used for the same values."""
        choices = [spellings(values[name]) for name in self.key_order]
        return [":".join((self.model_name, *parts)) for parts in product(*choices)]

    def older_keys(self, values: Mapping[str, Any]) -> list[str]:
        """The spellings that 1.x used alone."""
        return self.row_keys(values)[1:] if any(is_respelled(values[name]) for name in self.key_order) else []

    def keyspace(self, layout: Layout) -> Keyspace:
        """The model's keys on a store with this layout."""
        known, found = self._nearest
        # Most programs have one layout, and comparing it takes longer than finding it.
        if known is layout and found is not None:
            return found
        found = self._keyspaces.get(layout)
        if found is None:
            prefix = layout.prefix(self.hash_tag)
            names = (CLASS_SET, EXPIRY_LEDGER, EXPIRY_RECEIPTS)
            class_set, ledger, receipts = (f"{prefix}{name}:{self.model_name}".encode() for name in names)
            schema = self.schema_words(prefix, self.row_indexes)
            companions = arguments(self.companion_words(prefix))
            found = Keyspace(prefix, class_set, ledger, receipts, schema, companions, self.scripts, self.key_order)
            self._keyspaces[layout] = found
        self._nearest = layout, found
        return found

    def schema_words(self, prefix: str, indexes: Iterable[Index]) -> tuple[bytes, ...]:
        """Indexes as `entries.lua` reads them."""
        words: list[str] = []
        count = 0
        for index in indexes:
            count += 1
            lists = index.kind in ("S", "U") and index.field in self.listed
            values = prefix + index.value_list(self.model_name) if lists else ""
            words += (index.kind, prefix + index.base(self.model_name), index.field, index.code, values)
            words.append(str(len(index.partitions)))
            for name in index.partitions:
                # In a set of its own a related key is itself; as a part of another key it is escaped.
                code = self.fields[name].code
                words += (name, "s" if code == "r" else code)
        return tuple(word.encode() for word in (str(count), *words))

    def companion_words(
        self, prefix: str, names: Container[str] | None = None, said: Mapping[str, Sequence[Arg]] = MappingProxyType({})
    ) -> list[Arg]:
        """Companions as `companions.lua` reads them, all or those named, with what a save says to them."""
        chosen = [one for one in self.companions if names is None or one.name in names]
        words: list[Arg] = [len(chosen)]
        for one in chosen:
            words += (one.fragment.kind, one.name, int(one.bare), len(one.stores))
            for store in one.stores:
                words += (store.kind, prefix + store.before, store.after)
            words.append(len(one.partitions))
            for name in one.partitions:
                code = self.fields[name].code
                words += (name, "s" if code == "r" else code)
            words += (len(one.fields), *one.fields, len(one.settled), *one.settled)
            told = said.get(one.name)
            words += ("-",) if told is None else (len(told), *told)
        return words


def _is_settled(field: Field[Any]) -> bool:
    """Whether a value of the field's type is what its rows are compared with and their keys are made of."""
    kind = type(field)
    usual = (Field.operand, Field.compared, Field.make_lookups)
    return field.settled_type in (str, int) and (kind.operand, kind.compared, kind.make_lookups) == usual


def _listed(model_name: str, indexes: Any) -> tuple[Any, ...]:
    if not isinstance(indexes, tuple | list):
        raise ModelException(f"{model_name}.Meta.indexes={indexes!r} must be a tuple of ((field names...), unique)")
    return tuple(indexes)


def _kind(field: Field[Any]) -> str:
    return field.index.kind if field.index is not None else ""


def inherited_meta(bases: Iterable[Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The Meta options of a class: those of its bases, nearest first, under its own; `abstract` is not inherited."""
    merged: dict[str, Any] = {}
    for base in reversed(list(bases)):
        meta = getattr(base, "_meta", None)
        if isinstance(meta, Options):
            merged |= meta.declared
    return merged | dict(own)
