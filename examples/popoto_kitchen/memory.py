"""A maître d' who remembers the guests: an agent's memory, with what it learned from each evening."""

from __future__ import annotations

from popoto import (
    AccessTrackerMixin,
    BM25Field,
    ConfidenceField,
    CoOccurrenceField,
    DecayingSortedField,
    KeyField,
    Model,
    ObservationProtocol,
    StringField,
    clock,
)
from popoto.recipes import AssemblyResult, ContextAssembler

DAY = 86_400.0


class Memory(AccessTrackerMixin, Model):
    """One thing that is known of a guest. Each field below `note` is a way to find it again."""

    guest = KeyField()
    about = KeyField()
    note = StringField(max_length=500)
    words = BM25Field(source="note")
    relevance = DecayingSortedField(partition_by="guest")
    certainty = ConfidenceField(initial_confidence=0.6, partition_by="guest")
    associations = CoOccurrenceField()


# guest, about, how many days ago it was learned, note
KNOWN = [
    ("Ada", "dumplings", 2, "Ada likes the apricot dumplings for dessert"),
    ("Ada", "chocolate", 30, "Ada likes the chocolate cake for dessert"),
    ("Ada", "nuts", 60, "No nuts for Ada, not in a dessert and not in a salad"),
    ("Ada", "table", 10, "A quiet table in the garden, please"),
    ("Ada", "wine", 90, "A glass of Madeira, and a second one"),
    ("Bob", "dessert", 5, "Bob never takes a dessert"),
]


class MaitreD:
    """Recalls what matters of a guest, and learns what became of it."""

    def __init__(self) -> None:
        self.assembler = ContextAssembler(
            Memory,
            {"words": 0.5, "certainty": 0.3, "relevance": 0.2, "associations": 0.3},
            max_items=4,
            output_format="natural",
        )

    def learn(self) -> int:
        """Note what is known and not yet noted, and give how many notes were new."""
        return sum(self._note(*known) for known in KNOWN)

    def _note(self, guest: str, about: str, days: int, note: str) -> bool:
        learned_at = clock.now() - days * DAY
        with clock.frozen(lambda: learned_at):  # a decaying field takes the moment of the save
            _, created = Memory.get_or_create(guest=guest, about=about, defaults={"note": note})
        return created

    def recall(self, guest: str, question: str) -> AssemblyResult:
        """Give what is known of a guest that answers a question; nothing known of another guest is among it."""
        return self.assembler.assemble({"question": question}, partition_filters={"guest": guest})

    def report(self, recalled: AssemblyResult, outcomes: dict[str, str]) -> None:
        """Learn what became of memories: `outcomes` maps what they are about to `acted`, `used`, `contradicted` ...

        All effects on a memory, on its decay, its certainty and its reads, are one step on the server.
        """
        used = [memory for memory in recalled.records if memory.about in outcomes]
        ObservationProtocol.on_context_used(used, {memory.pk: outcomes[memory.about] for memory in used})

    def associate(self, guest: str, one: str, other: str) -> float:
        """Note that two things went together, and give how closely they are associated by now."""
        node, neighbour = Memory(guest=guest, about=one), Memory(guest=guest, about=other)  # stand for their keys
        return float(Memory.associations.strengthen(Memory, node, neighbour, 0.5))


def reasons(recalled: AssemblyResult) -> list[str]:
    """Give a line for each memory that was recalled: its score, and what each signal gave."""
    lines = []
    for hit in recalled.why:
        parts = " + ".join(f"{part.signal} {part.contribution:.2f}" for part in hit.parts)
        lines.append(f"{hit.score:.2f} = {parts:<60} {hit.row.note}")
    return lines
