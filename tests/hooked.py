"""A field of one's own as it was written for 1.x, and the model that has it."""

from __future__ import annotations

from typing import Any

from popoto import Field, IndexedField, KeyField, Model, UniqueField
from popoto.storage import ask, layout
from popoto.storage.commands.sorted_sets import zrangebyscore

WORDS = b"$WordsF:Page:text"


class WordsField(Field):
    """A text, with a sorted set of rows by its number of words."""

    @classmethod
    def on_save(cls, model_instance, field_name, field_value, pipeline=None, **kwargs):
        key = cls.get_special_use_field_db_key(model_instance, field_name)
        member = model_instance.db_key.redis_key
        if field_value is None:
            return pipeline.zrem(key.redis_key, member)
        return pipeline.zadd(key.redis_key, {member: len(field_value.split())})

    @classmethod
    def on_delete(cls, model_instance, field_name, field_value, pipeline=None, saved_redis_key=None, **kwargs):
        key = cls.get_special_use_field_db_key(model_instance, field_name)
        return pipeline.zrem(key, saved_redis_key)

    def get_filter_query_params(self, field_name):
        return super().get_filter_query_params(field_name) | {f"{field_name}__words_gte"}

    @classmethod
    async def filter_query(cls, model, field_name, **params):
        least = params.get(f"{field_name}__words_gte")
        if least is None:
            return None
        prefix = model._meta.keyspace(await layout()).prefix
        key = prefix + cls.get_special_use_field_db_key(model, field_name).redis_key
        return {member for member, _ in await ask(zrangebyscore(key, str(least), "+inf", count=10_000))}


class Page(Model):
    name = KeyField()
    text = WordsField()
    state = IndexedField(default="draft")
    code = UniqueField(null=False)


def page(name: str, text: str | None = None, **more: Any) -> Page:
    """A page that is stored."""
    return Page.create(name=name, text=text, code=name, **more)


def words(plain: Any) -> dict[bytes, float]:
    """The pages in the set of the hook, with their numbers of words."""
    return dict(plain.zrange(WORDS, 0, -1, withscores=True))
