"""byte_order.lua orders texts by their bytes, in a locale with an order of its own too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

PRELUDE = Path(__file__).parent.parent.joinpath("popoto", "fields", "byte_order.lua").read_text(encoding="utf-8")
ASKED = "if 'a' < 'Z' then"
SORT = """
local texts = {}
for place, text in ipairs(ARGV) do
  texts[place] = text
end
table.sort(texts, precedes)
return texts"""


@pytest.mark.parametrize("dictionary", [False, True])
def test_texts_are_in_the_order_of_their_bytes(store: Any, plain: Any, dictionary: bool):
    # The servers of the tests know no other locale than C: the answer about it is given for them.
    assert PRELUDE.count(ASKED) == 1
    script = plain.register_script((PRELUDE.replace(ASKED, "if true then") if dictionary else PRELUDE) + SORT)

    @given(some.lists(some.binary(max_size=6) | some.sampled_from([b"", b"a", b"Z", b"aa", b"a\x00", b"\xff"])))
    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    def agrees(texts: list[bytes]) -> None:
        assert script(args=texts) == sorted(texts)

    agrees()
