"""The words that `english` does not rank by: function words, and those that questions are made of.

Contractions are spelt out before they are looked up; those typed without their apostrophe stand here.
"May" is missing on purpose: it is a month more often than it tells texts apart as a verb.
"""

from __future__ import annotations

from typing import Final

_DROPPED: Final = """
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
herself it its itself they them their theirs themselves one this that these those
am is are was were be been being have has had having do does did doing done
can could shall should will would might must ought
a an the and but if or because as until while of at by for with about against between into through during before
after above below to from up down in out on off over under again further then once here there
all any both each few more most other some such no nor not only own same so than too very also just
who whom whose what which when where why how whether many much
im ive youre youve theyre theyve thats whats dont doesnt didnt isnt arent wasnt werent havent hasnt hadnt cant
couldnt wont wouldnt shouldnt
"""

STOP_WORDS: Final = frozenset(_DROPPED.split())
