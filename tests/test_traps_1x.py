"""Every defect of popoto 1.x has a test that is named for it: test_d00_ to test_d57_."""

from __future__ import annotations

import re
from pathlib import Path

LAST = 57


def test_every_defect_of_1x_has_a_test_of_its_number():
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("test_*.py")))
    named = {int(number) for number in re.findall(r"^(?:async )?def test_d(\d\d)_", text, re.MULTILINE)}
    assert named == set(range(LAST + 1))
