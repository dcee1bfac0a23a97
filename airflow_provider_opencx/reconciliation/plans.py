"""Decides what to do for one declaration: create, update, leave unchanged, or refuse. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from pydantic import JsonValue

from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.reconciliation.items import ItemT
from airflow_provider_opencx.reconciliation.text_changes import common_ends
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, visible_repr

if TYPE_CHECKING:
    from airflow_provider_opencx.metrics import Decision

_MOST_SHOWN = 80
_AROUND = 30
_MOST_DIFFERENCES = 20


class Declaration(Protocol):
    """The declaration of an item, or of a part of it."""

    @property
    def texts_in_messages(self) -> Sequence[str]:
        """The texts by which a message of the service may call the item."""

    @property
    def declared_fields(self) -> Mapping[str, JsonValue]:
        """The fields that were declared: name to value."""


class NewDeclaration(Declaration, Protocol):
    """A declaration from which an item can be created."""

    @property
    def identity(self) -> str:
        """By what the item is found, and who creates it holds the lock of: the name of an agent, for example."""

    @property
    def label(self) -> str:
        """The name of the item in messages, before it exists."""

    @property
    def fields_of_new(self) -> Mapping[str, JsonValue]:
        """The fields with which it is created."""

    @property
    def left_to_the_service(self) -> Collection[str]:
        """The fields that are declared as null, and get a value that the service chooses."""


SpecT = TypeVar("SpecT", bound=NewDeclaration)
ChangesT = TypeVar("ChangesT", bound=Declaration)


@dataclass(frozen=True)
class Difference:
    """One field that differs from the declaration.

    :param field: the name of the field, in Python spelling.
    :param actual: the value that the item has.
    :param wanted: the declared value.
    :param is_left_to_the_service: whether null is declared, and the service then chooses a value of its own.
    """

    field: str
    actual: JsonValue
    wanted: JsonValue
    is_left_to_the_service: bool = False

    def __str__(self) -> str:
        """Return the field and both values; of long ones only the part where they differ, and how long they are."""
        actual, wanted = repr(self.actual), repr(self.wanted)
        start, end = (0, 0) if max(len(actual), len(wanted)) <= _MOST_SHOWN else common_ends(actual, wanted)
        return f"{identifier(self.field)}: {_part(actual, start, end)} -> {_part(wanted, start, end)}"


@dataclass(frozen=True)
class Create(Generic[SpecT, ItemT]):
    """There is no such item: create it.

    :param spec: the declaration.
    :param near: the items that may be taken for it, which somebody has allowed.
    """

    action: ClassVar[str] = "create"
    decision: ClassVar[Decision] = "created"
    writes: ClassVar[bool] = True

    spec: SpecT
    near: tuple[ItemT, ...] = ()

    def __str__(self) -> str:
        return f"create {self.spec.label}"

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The fields that the new item gets."""
        left = self.spec.left_to_the_service
        return tuple(
            Difference(field, None, value, is_left_to_the_service=field in left)
            for field, value in self.spec.fields_of_new.items()
        )

    @property
    def texts_in_messages(self) -> Sequence[str]:
        """The texts by which a message of the service may call the item."""
        return self.spec.texts_in_messages


@dataclass(frozen=True)
class Update(Generic[ChangesT, ItemT]):
    """The item exists and differs: send what differs.

    :param item: the item as it is.
    :param changes: the fields to write.
    :param differences: the fields that differ.
    """

    action: ClassVar[str] = "update"
    decision: ClassVar[Decision] = "updated"
    writes: ClassVar[bool] = True

    item: ItemT
    changes: ChangesT
    differences: tuple[Difference, ...]

    @property
    def new_name(self) -> str | None:
        """The name that the item gets; ``None`` if it keeps its own."""
        return next((str(each.wanted) for each in self.differences if each.field == "name"), None)

    def __str__(self) -> str:
        return f"update {self.item.label}, {listed([identifier(difference.field) for difference in self.differences])}"

    @property
    def texts_in_messages(self) -> Sequence[str]:
        """The texts by which a message of the service may call the item."""
        return (*self.item.texts_in_messages, *self.changes.texts_in_messages)


@dataclass(frozen=True)
class Unchanged(Generic[ItemT]):
    """The item is as it should be: send nothing."""

    action: ClassVar[str] = "unchanged"
    decision: ClassVar[Decision] = "unchanged"
    writes: ClassVar[bool] = False
    differences: ClassVar[tuple[Difference, ...]] = ()
    texts_in_messages: ClassVar[Sequence[str]] = ()

    item: ItemT


@dataclass(frozen=True)
class Adopt(Generic[ItemT]):
    """The item is taken unchanged: send nothing.

    :param item: the item.
    :param differences: where it is not as declared.
    """

    action: ClassVar[str] = "adopt"
    decision: ClassVar[Decision] = "adopted"
    writes: ClassVar[bool] = False
    texts_in_messages: ClassVar[Sequence[str]] = ()

    item: ItemT
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Refuse:
    """The declaration conflicts with what exists: send nothing, raise the error."""

    action: ClassVar[str] = "refuse"
    decision: ClassVar[Decision] = "refused"
    writes: ClassVar[bool] = False
    differences: ClassVar[tuple[Difference, ...]] = ()
    texts_in_messages: ClassVar[Sequence[str]] = ()

    error: OpenCXError


Plan: TypeAlias = Create[SpecT, ItemT] | Update[ChangesT, ItemT] | Unchanged[ItemT] | Adopt[ItemT] | Refuse


def find_differences(
    declared: Mapping[str, JsonValue],
    value_of: Callable[[str], JsonValue],
    form_of: Callable[[str, JsonValue], JsonValue],
) -> tuple[Difference, ...]:
    """Return the declared fields in which an item differs, compared by meaning.

    :param declared: the declared fields: name to value.
    :param value_of: returns the value that the item has in a field.
    :param form_of: returns the form of a field's value that is the same for all values of one meaning.
    """
    return tuple(
        Difference(field, actual, wanted)
        for field, wanted in declared.items()
        if not equal(form_of(field, wanted), form_of(field, actual := value_of(field)))
    )


def described(differences: Sequence[Difference]) -> str:
    """Return differences in one line, for messages."""
    return listed([*map(str, differences)], _MOST_DIFFERENCES, separator="; ", more="; and {} more")


def equal(one: JsonValue, other: JsonValue) -> bool:
    """Return whether two JSON values are equal; to Python, ``True`` is 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return one == other


def _part(text: str, start: int, end: int) -> str:
    """Return a text; of a long one a part, from a few characters before it differs from another, and its length.

    :param start: how many characters the two have in common at their beginnings.
    :param end: how many they have in common at their ends.
    """
    if len(text) <= _MOST_SHOWN:
        return visible_repr(text)
    before = max(0, start - _AROUND)
    after = min(len(text), len(text) - end + _AROUND, before + _MOST_SHOWN)
    dots = "..." * (before > 0), "..." * (after < len(text))
    return f"{dots[0]}{visible_repr(text[before:after])}{dots[1]} (of {len(text):,} characters)"
