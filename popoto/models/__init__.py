"""Models: classes whose instances are rows of a store."""

from popoto.models.key import DB_key
from popoto.models.metaclass import ModelBase
from popoto.models.model import Model
from popoto.models.query import Query

__all__ = ["DB_key", "Model", "ModelBase", "Query"]
