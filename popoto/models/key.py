"""A row's key as the list of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from popoto import keys
from popoto.storage import ask, connection
from popoto.storage.commands.keys import exists

if TYPE_CHECKING:
    from popoto.models.model import Model


class DB_key(keys.DB_key):
    """A key: the class name, then the values of the key fields."""

    def exists(self) -> bool:
        """Whether a row is stored under this key on the default connection."""
        here = connection()
        prefix = here.layout.prefix(str(self[0]))
        return here.run(ask(exists(prefix + self.redis_key)))

    def get_instance(self, model: type[Model]) -> Any:
        """The model's instance with this key, or None."""
        return model.load(db_key=self)
