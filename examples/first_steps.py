"""A library that lends books: stores rows, finds them, changes them, and finds them again on the next run.

Run it twice. The data lies in the directory that POPOTO_URL names, ./.demo-data unless it is set.
"""

from __future__ import annotations

import os
from datetime import date

import popoto
from popoto import Field, IndexedField, IntField, KeyField, Model, ModelException, SortedField, UniqueField


class Book(Model):
    """One book on the shelf."""

    title = KeyField()
    shelf_mark = UniqueField()
    subject = IndexedField()
    published = SortedField(type=date)
    loans = SortedField(type=int, default=0)
    borrower = Field(type=str)


class Run(Model):
    """One run of this program."""

    program = KeyField()
    number = IntField(default=0)


BOOKS = [
    ("The Pine Barrens", "A1", "nature", date(1968, 1, 1)),
    ("Silent Spring", "A2", "nature", date(1962, 9, 27)),
    ("The Mezzanine", "B1", "fiction", date(1988, 11, 1)),
    ("Invisible Cities", "B2", "fiction", date(1972, 11, 1)),
    ("The Sea Around Us", "A3", "nature", date(1951, 7, 2)),
]


def count_run() -> int:
    """Note this run in the store and give its number."""
    run = Run.query.get(program="first_steps") or Run(program="first_steps")
    run.number += 1
    run.save()
    return run.number


def stock_shelves() -> int:
    """Create the books that are not there yet and give how many were."""
    here = Book.query.count()
    for title, mark, subject, published in BOOKS:
        if not Book.query.exists(title=title):
            Book.create(title=title, shelf_mark=mark, subject=subject, published=published)
    return here


def show(heading: str, books: popoto.Query[Book]) -> None:
    """Print the rows of a query."""
    print(f"\n{heading}")
    for book in books:
        print(f"  {book.title:<18} {book.published:%Y}  {book.subject:<8} loans: {book.loans}")


def lend(title: str, reader: str) -> None:
    """Lend a book: one atomic save moves its index entries."""
    book = Book.query.get(title=title)
    if book is not None:
        book.borrower = reader
        book.loans += 1
        with popoto.round_trips() as trips:
            book.save()
        print(f"\n{reader} borrows {title!r}: saved in {trips.count} round trip")


def take_a_mark_twice() -> None:
    """Show that a unique value has one holder."""
    try:
        Book.create(title="A copy", shelf_mark="A1", subject="nature", published=date(2000, 1, 1))
    except ModelException as error:
        print(f"\nA second A1 is refused:\n  {error}")


def main() -> None:
    """Run the first steps."""
    connection = popoto.connect(os.environ.get("POPOTO_URL", "embedded:./.demo-data"))
    try:
        print(f"Store: {connection.url} ({connection.info.server} {connection.info.version})")
        number = count_run()
        here = stock_shelves()
        print(f"This is run {number}; {here} of {len(BOOKS)} books were here already, {Book.query.count()} are now.")
        show("Nature, oldest first:", Book.query.filter(subject="nature", order_by="published"))
        show("Published since 1970:", Book.query.filter(published__gte=date(1970, 1, 1), order_by="published"))
        lend("Silent Spring", "Ada")
        show("Most borrowed:", Book.query.filter(order_by="-loans", limit=1))
        take_a_mark_twice()
        if number == 1:
            print("\nRun it again: the books and the count of runs are kept.")
    finally:
        connection.close()


if __name__ == "__main__":
    main()
