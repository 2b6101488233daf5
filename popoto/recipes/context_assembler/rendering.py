"""Records as the text that a language model reads. Values only; nothing here performs I/O."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

from popoto.models import Model

# What XML 1.0 cannot hold in any spelling: https://www.w3.org/TR/xml/#charsets
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_QUOTES: Final = {'"': "&quot;", "\r": "&#13;"}
_BREAKS: Final = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")
# What these fields hold serves searches, and tells a reader nothing.
_UNSHOWN: Final = ("words", "meaning", "existence", "associations")


def shown(record: Model) -> dict[str, Any]:
    """The values of a record that are not None, by field in the order of the fields.

    What popoto adds by itself, as an automatic key, and the fields that only serve searches are left out.
    """
    fields = record._meta.fields
    names = [name for name, field in fields.items() if not name.startswith("_") and field.offers not in _UNSHOWN]
    found = {name: getattr(record, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def structured(records: Sequence[Model]) -> str:
    """A JSON array of objects, indented by 2. What JSON has no type for is text."""
    return json.dumps([plain(shown(record)) for record in records], indent=2, ensure_ascii=False)


def xml(records: Sequence[Model]) -> str:
    """An XML element `records` that parses, whatever the values are; each field is an element of its name.

    A name that is none in XML becomes `<field name="...">`; a character that XML cannot hold becomes U+FFFD.
    """
    lines = ["<records>"]
    for record in records:
        lines.append("  <record>")
        lines += [f"    {_element(name, value)}" for name, value in shown(record).items()]
        lines.append("  </record>")
    return "\n".join([*lines, "</records>"])


def natural(records: Sequence[Model]) -> str:
    """A numbered line for each record, `1. field: value, field: value`; line breaks within values become spaces."""
    lines = []
    for number, record in enumerate(records, 1):
        pairs = [f"{name}: {_text(value)}" for name, value in shown(record).items()]
        lines.append(f"{number}. {_BREAKS.sub(' ', ', '.join(pairs))}")
    return "\n".join(lines)


FORMATS: Final[Mapping[str, Callable[[Sequence[Model]], str]]] = {
    "structured": structured,
    "xml": xml,
    "natural": natural,
}


def plain(value: Any) -> Any:
    """A value of what JSON has types for; other things are text, a set is a sorted list, a row is its key."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(one) for one in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return _other(value)


def _other(value: Any) -> str:
    if isinstance(value, Model):
        return str(value.pk)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _text(value: Any) -> str:
    known = plain(value)
    return known if isinstance(known, str) else json.dumps(known, ensure_ascii=False)


def _element(name: str, value: Any) -> str:
    inner = escape(_NO_XML.sub("\ufffd", _text(value)), _QUOTES)
    if _XML_NAME.match(name):
        return f"<{name}>{inner}</{name}>"
    return f'<field name="{escape(name, _QUOTES)}">{inner}</field>'


def fitting(
    records: Sequence[Model], render: Callable[[Sequence[Model]], str], most: int | None, count: Counter
) -> tuple[int, int]:
    """How many of the first records fit into a budget of tokens, at least one where there are any; and their tokens."""
    if most is None:
        return len(records), count(records, render)
    low, high = min(1, len(records)), len(records)
    while low < high:
        middle = (low + high + 1) // 2
        if count(records[:middle], render) <= most:
            low = middle
        else:
            high = middle - 1
    return low, count(records[:low], render)


Counter = Callable[[Sequence[Model], Callable[[Sequence[Model]], str]], int]


def counted_by_record(counter: Callable[[Any], int]) -> Counter:
    """Tokens as the sum of what each record has."""
    known: dict[int, int] = {}

    def count(records: Sequence[Model], render: Callable[[Sequence[Model]], str]) -> int:
        for record in records:
            if id(record) not in known:
                known[id(record)] = int(counter(record))
        return sum(known[id(record)] for record in records)

    return count


def counted_by_text(counter: Callable[[str], int]) -> Counter:
    """Tokens of the text as it is rendered, 0 for no records."""
    return lambda records, render: int(counter(render(records))) if records else 0


def quarter(text: str) -> int:
    """A token for four characters, about what tokenizers make of English."""
    return len(text) // 4
