"""Popoto Kitchen: a restaurant for an evening, as an example of how to use popoto.

Read it in this order: menu, guests and orders (models), board (pub/sub and events), service (asyncio), memory (an agent
that remembers its guests), operations (looking after indexes), and `__main__`, which puts an evening together.
"""
