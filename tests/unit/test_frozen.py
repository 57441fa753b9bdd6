"""The frozen values behave as dataclasses of the standard library do, though they are made in another way."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Mapping
from typing import Any

import pytest

from bucketry._core.frozen import dataclass


def _same_class(decorator: Any) -> Any:
    """Make the same class by a decorator."""

    @decorator(frozen=True, slots=True)
    class Value:
        """A value of all kinds of fields."""

        first: int
        second: str = "b"
        secret: str | None = dataclasses.field(default=None, repr=False)
        note: str = dataclasses.field(default="", compare=False)
        many: Mapping[str, int] = dataclasses.field(default_factory=dict)
        last: tuple[int, ...] = dataclasses.field(default=(), kw_only=True)

    return Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A base whose constructor checks."""

    name: str
    size: int = 0

    def __post_init__(self) -> None:
        """Refuse a negative size."""
        if self.size < 0:
            message = "negative"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived(Base):
    """A class with one more field, and an equality of its own."""

    colour: str = "red"

    def __eq__(self, other: object) -> bool:
        """Compare the names only."""
        return isinstance(other, Derived) and other.name == self.name

    def __hash__(self) -> int:
        """Agree with the equality."""
        return hash(self.name)


STANDARD, OURS = _same_class(dataclasses.dataclass), _same_class(dataclass)


@pytest.mark.parametrize(
    ("args", "entries"),
    [((1,), {}), ((1, "c", "s3cret", "n", {"a": 1}), {"last": (2,)}), ((), {"first": 5, "many": {}})],
)
def test_a_value_is_as_one_of_the_standard_library(args: tuple[Any, ...], entries: dict[str, Any]) -> None:
    """The same arguments give the same text, fields and matching order; secrets are in no text."""
    ours, standard = OURS(*args, **entries), STANDARD(*args, **entries)
    assert repr(ours) == repr(standard)
    assert dataclasses.asdict(ours) == dataclasses.asdict(standard)
    assert OURS.__match_args__ == STANDARD.__match_args__
    assert OURS.__slots__ == STANDARD.__slots__
    assert str(inspect.signature(OURS)) == str(inspect.signature(STANDARD))
    assert "s3cret" not in repr(ours)


def test_values_are_compared_by_their_fields() -> None:
    """Equal fields make equal values with equal hashes; a field that is not compared does not count."""
    one, same, other = OURS(1, many=()), OURS(1, many=(), note="x"), OURS(2, many=())
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != STANDARD(1, many=())
    assert OURS(1).many is not OURS(1).many


def test_a_value_cannot_be_changed() -> None:
    """Setting or deleting an attribute is refused, also one that is no field."""
    value = Base(name="a")
    for name in ("name", "unknown"):
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign to field '{name}'"):
            setattr(value, name, "b")
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot delete field '{name}'"):
            delattr(value, name)
    assert value == Base(name="a")


def test_a_value_can_be_copied_and_sent() -> None:
    """`replace`, `copy` and `pickle` return equal values; `replace` checks as the constructor does."""
    value = Derived(name="a", size=3)
    assert dataclasses.replace(value, size=4).size == 4
    with pytest.raises(ValueError, match="negative"):
        dataclasses.replace(value, size=-1)
    for same in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert dataclasses.astuple(same) == ("a", 3, "red")


def test_own_methods_stay() -> None:
    """A method that the class defines is not replaced; the base's fields come first."""
    assert Derived(name="a", size=1) == Derived(name="a", size=2)
    assert len({Derived(name="a"), Derived(name="a", colour="blue")}) == 1
    assert repr(Derived(name="a")) == "Derived(name='a', size=0, colour='red')"


def test_a_missing_or_unknown_argument_is_refused() -> None:
    """The constructor's errors name the class and the argument, as those of every function do."""
    with pytest.raises(TypeError, match=r"Base\.__init__\(\) missing 1 required keyword-only argument: 'name'"):
        Base()  # type: ignore[call-arg]  # on purpose
    with pytest.raises(TypeError, match=r"Base\.__init__\(\) got an unexpected keyword argument 'colour'"):
        Base(name="a", colour="b")  # type: ignore[call-arg]  # on purpose


@pytest.mark.parametrize(
    ("args", "entries"),
    [((), {"first": 1}), ((), {"last": (2,), "first": 1, "many": {"a": 1}}), ((1, "c"), {}), ((1,), {"note": "n"})],
)
def test_the_first_instance_is_as_all_others(args: tuple[Any, ...], entries: dict[str, Any]) -> None:
    """The first instances, whose constructor is not compiled yet, equal later ones and that of the standard."""
    made = _same_class(dataclass)
    every = [made(*args, **entries) for _ in range(20)]
    assert {str(dataclasses.asdict(one)) for one in every} == {str(dataclasses.asdict(STANDARD(*args, **entries)))}
    assert all(one == every[0] for one in every)


def test_the_first_instance_is_checked() -> None:
    """The first call of a constructor checks its arguments and its values, also for a subclass with one of its own."""

    def made() -> type[Any]:
        @dataclass(frozen=True, slots=True, kw_only=True)
        class First(Base):
            """A class without instances."""

        return First

    with pytest.raises(ValueError, match="negative"):
        made()(name="a", size=-1)
    with pytest.raises(TypeError, match=r"__init__\(\) missing 1 required keyword-only argument: 'name'"):
        made()(size=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        made()(name="a", colour="b")
    with pytest.raises(TypeError, match="takes 1 positional argument"):
        made()("a")
    with pytest.raises(TypeError, match="multiple values for argument 'first'"):
        _same_class(dataclass)(1, first=1)

    class Own(made()):  # type: ignore[misc]
        """A class of a program, with another constructor."""

        def __init__(self, name: str) -> None:
            """Take the name by position."""
            super().__init__(name=name, size=len(name))

    assert [(value.name, value.size) for value in (Own("ab"), Own("abc"))] == [("ab", 2), ("abc", 3)]


def test_only_frozen_classes_with_slots_are_made() -> None:
    """For other classes, the decorator of the standard library is to be used."""
    with pytest.raises(TypeError, match="standard library"):
        dataclass(frozen=False, slots=True)


def test_a_standard_class_can_derive() -> None:
    """A program's own frozen dataclass can derive from such a class, directly and over another such class."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Derived(Base):
        """A class of ours with a base of ours."""

        more: int = 1

    for base in (Base, Derived):

        @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
        class Own(base):  # type: ignore[valid-type,misc]
            """A class of a program."""

            own: int

        value = Own(name="n", own=2)
        assert (value.name, value.own) == ("n", 2)
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.own = 3  # type: ignore[misc]
        with pytest.raises(TypeError, match="non-frozen"):
            dataclasses.dataclass(type("Open", (base,), {"__annotations__": {"x": int}}))
