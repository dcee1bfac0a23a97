"""Tests the people to call, from lists and files: each once, or none if one cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.campaigns.contacts import MOST_ROWS, Source, callees, rows_of
from airflow_provider_opencx.campaigns.guards import DoNotCall
from airflow_provider_opencx.campaigns.ledger import digests
from airflow_provider_opencx.contact_files import readable, source_of
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXContactsUnreadableError, OpenCXError
from airflow_provider_opencx.phone_numbers import without_mobile_mark
from airflow_provider_opencx.resources.calls import Callee

ADA, BOB = "+14155550101", "+14155550102"


def read(contacts: object, *, default_region: str | None = None, most: int | None = None) -> list[Callee]:
    with readable("contacts"):
        rows = rows_of(contacts, lambda path: source_of(path, None), "contacts")
        return callees(rows, default_region=default_region, most=most)


@pytest.mark.parametrize(
    ("contacts", "people"),
    [
        ([ADA, BOB], [Callee(ADA), Callee(BOB)]),
        ([ADA, "+1 (415) 555-0101", BOB, ADA], [Callee(ADA), Callee(BOB)]),
        ([{"phone_number": ADA, "name": "Ada"}], [Callee(ADA)]),
        ([{"contact_id": "c1"}, {"contact_id": "c1", "phone_number": ADA}, ADA], [Callee(ADA, "c1")]),
        ([ADA, {"contact_id": "c1"}, BOB, {"contact_id": "c1", "phone_number": ADA}], [Callee(ADA, "c1"), Callee(BOB)]),
        ([{"phone_number": ADA, "contact_id": "c1"}, {"phone_number": ADA, "contact_id": "c2"}], [Callee(ADA, "c1")]),
        ([{"contact_id": "c1", "phone_number": ADA}, BOB], [Callee(ADA, "c1"), Callee(BOB)]),
        ([{"contact_id": " ", "phone_number": ADA}], [Callee(ADA)]),
        ((ADA,), [Callee(ADA)]),
        ([], []),
    ],
)
def test_list(contacts: object, people: list[Callee]) -> None:
    assert read(contacts) == people


@pytest.mark.parametrize(
    ("name", "text", "people"),
    [
        ("a.csv", f"phone_number\n{ADA}\n{BOB}\n", [Callee(ADA), Callee(BOB)]),
        ("a.csv", f"\ufeffname,phone_number\r\nAda,{ADA}\r\n", [Callee(ADA)]),
        ("a.csv", f"name;phone_number\nAda;{ADA}\n\n;\n", [Callee(ADA)]),
        ("a.csv", f'name,phone_number\n"Ada\nLovelace","{ADA}"\n', [Callee(ADA)]),
        ("a.csv", f"phone_number,name\n{ADA}\n{BOB},Bob,,\n", [Callee(ADA), Callee(BOB)]),
        ("A.CSV", "contact_id\nc1\n", [Callee(None, "c1")]),
        ("a.csv", "phone_number\n", []),
        ("a.jsonl", f'{{"phone_number": "{ADA}"}}\n\n"{BOB}"\n', [Callee(ADA), Callee(BOB)]),
        ("a.ndjson", f'"{ADA}"', [Callee(ADA)]),
        ("a.json", f'["{ADA}", {{"contact_id": "c1"}}]', [Callee(ADA), Callee(None, "c1")]),
    ],
)
def test_file(name: str, text: str, people: list[Callee], tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(text.encode())
    assert read(str(file)) == people
    assert read(f"file://{file}") == people


@pytest.mark.parametrize(("name", "text"), [("a.csv", f"phone_number\n{ADA}\n"), ("a.json", f'[\n"{ADA}"\n]')])
def test_file_with_a_long_path(name: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / ("x" * 200) / ("y" * 200) / name
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert read(str(file)) == [Callee(ADA)]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "\n", "is empty"),
        ("a.csv", f"{ADA}\n", "must name the columns"),
        ("a.csv", f"phone\n{ADA}\n", "must name the columns"),
        ("a.csv", f"phone_number\n{ADA}\n4155550102\n", "line 3: .*default_region"),
        ("a.csv", "phone_number,name\n,Ada\n", "line 2: names neither"),
        ("a.csv", "phone_number\n4.15556E+10\n", "line 2"),
        ("a.csv", b"phone_number\n\xff\xfe", "not text in UTF-8"),
        ("a.csv", f"phone_number\n{'1' * 200_000}\n", "characters"),
        ("a.csv", f'phone_number,name\n{ADA},"Ada\n{BOB},Bob\n', "is not CSV"),
        ("a.csv", f'phone_number,name\n{ADA},"Ada\n{BOB},"Bob"\n', "is not CSV"),
        ("a.csv", f"phone_number,phone_number\n{ADA},{BOB}\n", "names the column phone_number twice"),
        ("a.csv", f"name,office,phone_number\nDoe, Jane,{ADA},{BOB}\n", "line 2: has more cells than .* ',' .* quotes"),
        ("a.jsonl", "", "is empty"),
        ("a.jsonl", "{\n", "line 1: is not JSON"),
        ("a.jsonl", '{"phone_number": 14155550101}\n', "line 1: a phone number must be text, in quotes"),
        ("a.json", '{"phone_number": "+14155550101"}', "must be a JSON list"),
        ("a.json", "[" * 100_000, "is not JSON"),
    ],
)
def test_file_in_which_somebody_cannot_be_read(name: str, text: str | bytes, problem: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(OpenCXArgumentError, match=problem):
        read(str(file))


def test_number_with_the_mark_of_a_mobile_one_is_the_same_number() -> None:
    mobile, without = "+54 9 11 1234 5678", "+54 11 1234 5678"
    assert read([mobile, without]) == [Callee(mobile)]
    assert DoNotCall.of([("row", without)], default_region=None).has(Callee(mobile))
    assert DoNotCall.of([("row", "(011) 15 1234-5678")], default_region="AR").has(Callee(without))
    assert digests(Callee(mobile)) == digests(Callee(without))
    assert without_mobile_mark("+5215512345678") == "+525512345678"
    for number in (ADA, "+5491112345", "+549111234567890", "+525512345678", "+521998123456"):
        assert without_mobile_mark(number) == number


def test_contact_with_two_numbers_is_refused() -> None:
    """The guards would check one of them, and the service might call the other."""
    with pytest.raises(OpenCXArgumentError, match="contact c1 has two numbers"):
        read([{"contact_id": "c1", "phone_number": ADA}, {"contact_id": "c1", "phone_number": BOB}])


@pytest.mark.parametrize("contacts", [None, 5, {"phone_number": ADA}, b"x", "people.txt", ADA])
def test_what_is_neither_a_list_nor_a_file_is_refused(contacts: object) -> None:
    with pytest.raises(OpenCXArgumentError, match="contacts"):
        read(contacts)


def test_the_places_of_the_first_problems_are_named() -> None:
    wrong: Sequence[Any] = [ADA, *["0"] * 30]
    with pytest.raises(OpenCXArgumentError) as caught:
        read(wrong)
    assert str(caught.value).startswith("Nobody is called")
    assert "contacts[1]" in str(caught.value)
    assert "contacts[12]" not in str(caught.value)


@pytest.mark.parametrize("path", ["gone.csv", "file:///gone.csv", "nothing://bucket/a.csv"])
def test_a_file_that_cannot_be_read_is_an_error_that_is_retried(path: str) -> None:
    with pytest.raises(OpenCXContactsUnreadableError, match="nobody is called") as caught:
        read(path)
    assert not caught.value.is_permanent


@pytest.mark.parametrize(
    ("written", "region", "number"),
    [
        ("(415) 555-0101", "US", ADA),
        ("030 555010", "DE", "+4930555010"),
        ("0041 44 668 18 00", "DE", None),
        ("911", "US", None),
        ("+4930555010", "US", "+4930555010"),
        ("555-0101", "US", None),
        ("1-800-FLOWERS", "US", None),
        ("4155550101 ext 5", "US", None),
        ("4155550101", None, None),
    ],
)
def test_national_numbers(written: str, region: str | None, number: str | None) -> None:
    if number is not None:
        assert read([written], default_region=region) == [Callee(number)]
        return
    with pytest.raises(OpenCXArgumentError):
        read([written], default_region=region)


def test_reading_ends_with_one_more_than_allowed(tmp_path: Path) -> None:
    def endless() -> Any:
        for number in range(MOST_ROWS):
            assert number < 20
            yield f"row {number}", f"+1415555{number:04d}"

    assert len(callees(endless(), default_region=None, most=10)) == 11


def test_a_file_with_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_opencx.campaigns.contacts.MOST_ROWS", 3)
    file = tmp_path / "a.csv"
    file.write_text("phone_number\n" + f"{ADA}\n" * 4)
    with pytest.raises(OpenCXError, match="more than 3 rows"):
        read(str(file))


def test_do_not_call_list_compares_numbers() -> None:
    rows = rows_of(["(415) 555-0101", {"contact_id": "c1"}], lambda path: Source(path, open), "do_not_call")  # type: ignore[arg-type]
    listed = DoNotCall.of(rows, default_region="US")
    assert listed.has(Callee(ADA))
    assert listed.has(Callee("+1 415 555 0101"))
    assert listed.has(Callee(BOB, "c1"))
    assert not listed.has(Callee(BOB))


def test_do_not_call_list_has_every_number_of_a_person() -> None:
    """A person who is in it twice has a second number, and nobody may be called on either."""
    for rows in (
        [{"contact_id": "c1", "phone_number": ADA}, {"contact_id": "c1", "phone_number": BOB}],
        [ADA, {"phone_number": ADA, "contact_id": "c1"}, {"contact_id": "c1", "phone_number": BOB}],
    ):
        listed = DoNotCall.of([("row", row) for row in rows], default_region=None)
        assert listed.names == {ADA, BOB, "contact:c1"}
