"""How a model class comes to be: fields and Meta gathered from its body and its bases."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, cast

from popoto.exceptions import ModelException
from popoto.fields import AutoKeyField, Field
from popoto.fields.outcomes import OUTCOMES
from popoto.models.options import META_OPTIONS, Options, inherited_meta

if TYPE_CHECKING:
    from popoto.models.model import Model

RESERVED: Final = frozenset({"limit", "order_by", "values"})
_STATE: Final = frozenset({"_meta", "_options", "_ttl", "_expire_at", "_redis_key", "_raw", "_raw_values"})
_BEHAVIOUR: Final = (FunctionType, classmethod, staticmethod, property, type)


class ModelBase(type):
    """The metaclass of models."""

    _meta: Options

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> ModelBase:
        if not any(isinstance(base, ModelBase) for base in bases):
            root = super().__new__(cls, name, bases, namespace, **options)
            root._meta = Options(name, {}, {"abstract": True})
            return root
        own = {key: value for key, value in namespace.items() if isinstance(value, Field)}
        _check_body(name, bases, namespace, own)
        made = super().__new__(cls, name, bases, namespace, **options)
        fields = _gathered(made, own)
        meta = _declared_meta(name, namespace.get("Meta"))
        if not meta.get("abstract") and not any(field.key for field in fields.values()):
            auto = AutoKeyField()
            auto.__set_name__(made, "_auto_key")
            setattr(made, "_auto_key", auto)  # noqa: B010 - a type has no such attribute for a checker
            fields["_auto_key"] = auto
        mixins = cast("type[Model]", made)
        observed = any(mixins._outcome_actions(outcome) for outcome in OUTCOMES)
        kept, signals = mixins._companions(name), mixins._signals(name)
        made._meta = Options(name, fields, inherited_meta(bases, meta), kept, signals, observed=observed)
        made._meta.model = made
        setattr(made, "_options", made._meta)  # noqa: B010
        setattr(made, "_ttl", made._meta.ttl)  # noqa: B010
        return made


def _gathered(made: type, own: dict[str, Field[Any]]) -> dict[str, Field[Any]]:
    """Fields of the bases, furthest first, then the class's own; what a class sets to another thing is no field."""
    fields: dict[str, Field[Any]] = {}
    for base in reversed(made.__mro__[1:]):
        for name, value in vars(base).items():
            if isinstance(value, Field) and name != "_auto_key":
                fields[name] = value
            else:
                fields.pop(name, None)
    fields.pop("_auto_key", None)
    for name in vars(made):
        if name in fields and name not in own:
            del fields[name]
    return fields | own


def _check_body(name: str, bases: tuple[type, ...], namespace: dict[str, Any], own: dict[str, Field[Any]]) -> None:
    for key, value in namespace.items():
        if key in own:
            _check_field_name(name, key, bases)
        elif key[0].islower() and isinstance(value, type) and issubclass(value, Field):
            raise ModelException(f"{name}.{key} is a class of fields and no field: write {key} = {value.__name__}()")
        elif not (key.startswith("_") or isinstance(value, _BEHAVIOUR) or callable(value) or hasattr(value, "__get__")):
            raise ModelException(
                f"{name}.{key} = {value!r}: public attributes of a model must be fields; "
                f"declare {key} = Field(...), or write _{key} for a class constant"
            )


def _check_field_name(model: str, name: str, bases: tuple[type, ...]) -> None:
    if name in RESERVED or "__" in name.strip("_") or name.startswith("__"):
        raise ModelException(f"{model}.{name}: this name has a meaning in queries; give the field another")
    if not name.startswith("_") and not name[0].islower():
        raise ModelException(f"{model}.{name}: a field's name begins with a lower-case letter")
    for base in bases:
        taken = getattr(base, name, None)
        if (taken is not None and not isinstance(taken, Field)) or name in _STATE:
            owner = base.__name__ if hasattr(base, name) else "Model"
            raise ModelException(f"{model}.{name}: {owner}.{name} exists already; give the field another name")


def _declared_meta(model: str, meta: Any) -> dict[str, Any]:
    if meta is None:
        return {}
    declared = {name: value for name, value in vars(meta).items() if not name.startswith("__")}
    for name in declared:
        if name not in META_OPTIONS:
            raise ModelException(f"{model}.Meta.{name} is no option; there are {', '.join(META_OPTIONS)}")
    return declared
