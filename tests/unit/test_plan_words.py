"""Tests the words of a plan that a person approves: plain, complete, and nothing hidden."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import JsonValue

from airflow_provider_opencx.phone_agents.fleet import FleetPlan, FleetStep, plan_fleet
from airflow_provider_opencx.phone_agents.plan import SERVICE_CHOOSES, Create, PhoneAgents
from airflow_provider_opencx.phone_agents.plan_words import FIELD_WORDS
from airflow_provider_opencx.reconciliation import plan_blocks
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.reconciliation.plan_document import Block, Document, Line, Quoted, to_markdown, to_text
from airflow_provider_opencx.reconciliation.text_changes import text_changes
from airflow_provider_opencx.resources.phone_agents import IDS_BY_NAMES, PhoneAgent, PhoneAgentChanges, PhoneAgentSpec
from airflow_provider_opencx.text import without_invisible
from airflow_provider_opencx.visible_text import in_quotes, visible


def agent(name: str | None = "a", **fields: object) -> PhoneAgent:
    return PhoneAgent.from_response({"id": f"id of {name}", "name": name, "type": "outbound", **fields})


def spec(name: str = "a", **fields: object) -> PhoneAgentSpec:
    return PhoneAgentSpec.parse({"name": name, **fields})


def plan_of(*specs: PhoneAgentSpec, agents: tuple[PhoneAgent, ...] = ()) -> FleetPlan:
    return plan_fleet(specs, PhoneAgents(agents), Organization("https://api.open.cx", "opencx_default"))


def line_of(label: str, plan: FleetPlan) -> str:
    """Return what is said of a field."""
    [line] = [line.strip() for line in plan.text.splitlines() if line.strip().startswith(f"{label}: ")]
    return line.removeprefix(f"{label}: ")


def change(field: str, actual: JsonValue, wanted: JsonValue) -> FleetPlan:
    existing = agent(**(actual if field == "additional_fields" else {field: actual}))  # type: ignore[arg-type]
    return plan_of(spec(**{field: wanted}), agents=(existing,))


def test_plan_reads_like_this() -> None:
    plan = plan_of(
        spec("as declared"),
        spec("changes", first_message="Hello", action_ids=[], handoff_phone_number="+14155550100"),
        spec("new", language=["en", "es"], voice_id=None, handoff_phone_number=None, use_org_knowledgebase=True),
        spec("other model", model="m2"),
        agents=(
            agent("as declared", org_id="org_1"),
            agent("changes", first_message="Hey", phone_number="+14155550199", org_id="org_1"),
            agent("other model", model="m1", org_id="org_1"),
            agent("of somebody else", org_id="org_1"),
        ),
    )
    assert plan.text.splitlines() == [
        "Organization “org_1”, connection “opencx_default”, service “https://api.open.cx”",
        "",
        "“other model” cannot be created or changed",
        "    reason: “The model of phone agent 'other model' ('id of other model') is 'm1' and cannot be changed to"
        " 'm2': OpenCX fixes it at creation. Nothing was sent. Leave model out, or declare an agent of another name.”",
        "",
        "Was an agent renamed?",
        "    1 agent will be created, and 1 agent outside this fleet exists already: see the end.",
        "    If it is the same agent under a new name, reject this plan: the new agent would get another phone number."
        " Write the old name into its declaration as previous_name, or its id as id: then it is renamed, and keeps its"
        " number.",
        "",
        "“new” will be created",
        "    kind: makes calls (outbound)",
        "    language: “en”, “es”",
        "    voice: left to the service",
        "    hands calls over to: nobody",
        "    uses the organization's knowledge base: yes",
        "",
        "“changes” will be changed",
        "    phone number “+14155550199”, id “id of changes”",
        "    first message: from “Hey” to “Hello”",
        "    hands calls over to: from nobody to “+14155550100”",
        "    actions it may use: from every action to no action",
        "",
        "1 agent of this fleet has no phone number yet",
        "    “as declared”, id “id of as declared”",
        "",
        "1 agent outside this fleet stays as it is",
        "    “of somebody else”: no phone number yet, id “id of of somebody else”",
        "",
        "1 agent of this fleet stays as it is",
    ]


# What a field is called, what null means where it is declared, and what it means where the agent has it.
WORDS: dict[str, tuple[str, str, str]] = {
    "name": ("name", "", ""),
    "type": ("kind", "", "not known"),
    "language": ("language", "left to the service", "not set"),
    "voice_id": ("voice", "left to the service", "not set"),
    "first_message": ("first message", "left to the service", "not set"),
    "instructions": ("instructions", "none", "none"),
    "handoff_phone_number": ("hands calls over to", "nobody", "nobody"),
    "use_org_knowledgebase": ("uses the organization's knowledge base", "left to the service", "not set"),
    "action_ids": ("actions it may use", "every action", "every action"),
    "accent": ("accent", "none", "none"),
    "speed": ("speed of speech", "left to the service", "not set"),
    "interruptible": ("callers may interrupt it", "left to the service", "not set"),
    "data_collection_fields": ("data it collects", "none", "none"),
    "data_collection_webhook_url": ("address that receives the data", "none", "none"),
    "model": ("AI model", "left to the service", "not set"),
    "flow": ("flow", "none", "none"),
    "manual_mode": ("manual mode", "left to the service", "not set"),
    "custom_llm": ("language model of its own", "none", "none"),
    "additional_fields": ("field “newer”", "nothing (null)", "nothing (null)"),
}
VALUES: dict[str, tuple[JsonValue, str]] = {
    "type": ("inbound", "receives calls (inbound)"),
    "language": (["de"], "“de”"),
    "instructions": (["i_1", "i_2"], "“i_1”, “i_2”"),
    "handoff_phone_number": ("+14155550100", "“+14155550100”"),
    "action_ids": ([], "no action"),
    "speed": (1.5, "“1.5”"),
    "data_collection_fields": ([], "an empty list"),
    "data_collection_webhook_url": ("https://e.org/", "“https://e.org/”"),
    "flow": ({"a": [True]}, '“{"a": [true]}”'),
    "additional_fields": ({"newer": ""}, "an empty text"),
    "use_org_knowledgebase": (False, "no"),
    "interruptible": (False, "no"),
    "manual_mode": (False, "no"),
}


@pytest.mark.parametrize("field", [field for field in WORDS if field != "name"])
def test_every_field_has_words_for_no_value_and_for_a_value(field: str) -> None:
    label, declared_null, actual_null = WORDS[field]
    value, shown = VALUES.get(field, ("v", "“v”"))
    null: JsonValue = {"newer": None} if field == "additional_fields" else None
    assert line_of(label, plan_of(spec(**{field: value}))) == shown
    if field != "model":  # it cannot be changed
        assert line_of(label, change(field, null, value)) == f"from {actual_null} to {shown}"
    if field != "type":
        assert line_of(label, plan_of(spec(**{field: null}))) == declared_null
    if field not in ("type", "model") and value != [] and field != "use_org_knowledgebase":
        assert line_of(label, change(field, value, null)) == f"from {shown} to {declared_null}"
    assert (declared_null == "left to the service") is (field in SERVICE_CHOOSES)
    assert field == "additional_fields" or FIELD_WORDS[field].label == label


def test_every_field_has_words() -> None:
    assert set(WORDS) == set(PhoneAgentChanges.model_fields) - set(IDS_BY_NAMES)
    assert set(FIELD_WORDS) == set(PhoneAgentChanges.model_fields) - PhoneAgentChanges.not_sent


def test_order_of_attention() -> None:
    near = FleetStep(spec("New"), Create(spec("New"), near=(agent("new "),)))
    plan = plan_of(
        spec("update", accent="x"), spec("create"), spec("two"), agents=(agent("update"), agent("two"), agent("two"))
    )
    two = PhoneAgents([agent("update"), agent("two"), agent("two", id="other")])
    plan = plan_fleet([step.spec for step in plan.steps], two)
    plan = FleetPlan((*plan.steps, near))
    headings = [line for line in plan.text.splitlines() if line.startswith("“")]
    assert headings == [
        "“two” cannot be created or changed",
        "“New” will be created",
        "“create” will be created",
        "“update” will be changed",
    ]
    assert "    ATTENTION: there is an agent with nearly the same name, “new ”: no phone number yet" in plan.text


def test_many_undeclared_agents_are_counted() -> None:
    plan = plan_of(agents=tuple(agent(f"{number}") for number in range(1060)))
    assert "1,060 agents outside this fleet stay as they are" in plan.text
    assert "    and 1,010 agents more" in plan.text
    assert "renamed" not in plan.text


# Long values.

SENTENCE = "You are a polite agent. Always say who you are, and ask whether this is a good time. "
PROMPT = "".join(f"{SENTENCE}{number}. " for number in range(100))


def marked(text: str) -> list[str]:
    return [line.strip(" ") for line in text.split("\n") if re.match(" {8}(removed|added): ", line)]


def test_two_edits_far_apart_are_two_places() -> None:
    wanted = PROMPT.replace(
        "polite agent. Always say who you are, and ask whether this is a good time. 5.", "agent. 5."
    )
    wanted = wanted.replace("good time. 90.", "fine hour. 90.")
    text = change("instructions", [PROMPT], [wanted]).text
    assert (
        "instructions: from a text of 8,890 characters to a text of 8,822 characters, which differ in 2 places" in text
    )
    assert marked(text) == [
        "removed: “You are a polite agent. Always say who you are, and ask whether this is a good time. ”",
        "added: “You are a agent. ”",
        "removed: “Always say who you are, and ask whether this is a good time. ”",
        "added: “Always say who you are, and ask whether this is a fine hour. ”",
    ]
    assert len(text) < 2000


def test_lines_of_a_text_are_compared_as_lines() -> None:
    actual = "".join(f"- rule {number}\n" for number in range(50))
    wanted = actual.replace("rule 7\n", "rule seven\n") + "- one more\n"
    text = change("instructions", [actual], [wanted]).text
    assert marked(text) == ["removed: “- rule 7”", "added: “- rule seven”", "added: “- one more”"]


def test_line_breaks_that_alone_differ_are_seen() -> None:
    text = change("first_message", "Hello\nyou", "Hello\nyou\n").text
    assert marked(text) == ["removed: “you”", "added: “you\\n”"]


@pytest.mark.parametrize(
    ("actual", "wanted"),
    [
        ("x" * 500_000, "x" * 250_000 + "y" + "x" * 250_000),
        (" ".join(map(str, range(50_000))), " ".join(map(str, range(50_000, 0, -1)))),
        ("a\nb\n" * 50_000, "b\na\n" * 50_001),
        (None, "x" * 1_000_000),
        ("word " * 100_000, None),
    ],
    ids=["one word", "many words", "many lines", "new", "gone"],
)
def test_long_texts_are_cut_and_counted_and_whole_as_json(actual: str | None, wanted: str | None) -> None:
    plan = change("first_message", actual, wanted)
    assert len(plan.text) + len(plan.markdown) < 10_000
    [entry] = plan.as_dict()["agents"]  # type: ignore[misc]  # a list of one
    assert entry["changes"] == [{"field": "first_message", "actual": actual, "wanted": wanted}]  # type: ignore[index, call-overload]


def test_what_is_cut_is_counted() -> None:
    text = plan_of(spec(instructions=["x" * 1_000_000])).text
    assert "instructions: a text of 1,000,000 characters:" in text
    assert "... and 997,000 more characters, which are not shown" in text
    many = "".join(f"In case {number}, ask twice as often. In case {-number}, ask nobody. " for number in range(1, 201))
    other = re.sub(r"In case (\d+)", r"In the case \1", many)
    text = change("first_message", many, other).text
    [count] = re.findall(r"and (\d+) more places, which are not shown: ([\d,]+) characters go, ([\d,]+) come", text)
    assert "which differ in 200 places" in text
    assert int(count[0]) + text.count("        added: ") == 200


def test_plan_grows_with_its_changes() -> None:
    specs = [spec("long", instructions=["x" * 1_000_000]), *(spec(f"{n}", first_message="Hi") for n in range(199))]
    as_json = json.dumps(plan_of(*specs).as_dict())
    assert len(as_json) < 1_200_000


def test_all_headings_stay_where_a_plan_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_blocks, "LONGEST_DOCUMENT", 500)
    plan = plan_of(*(spec(f"agent {number}", first_message="x" * 150) for number in range(100)))
    assert "ATTENTION: this plan is too long to be shown whole. Of 97 agents, only the name is shown" in plan.text
    assert all(f"“agent {number}” will be created" in plan.text for number in range(100))
    assert plan.text.count("first message") == 3
    assert plan.text.count(" will be created: values not shown") == 97


def test_large_plan_is_bounded() -> None:
    plan = plan_of(*(spec(f"agent {number}", first_message="x" * 3000) for number in range(2000)))
    assert len(plan.markdown) < 600_000


def test_values_that_look_the_same_are_told_apart() -> None:
    assert line_of("field “n”", change("additional_fields", {"n": "1"}, {"n": 1})) == 'from “"1"” to “1”'
    assert (
        line_of("field “n”", change("additional_fields", {"n": "ﬁne"}, {"n": "fine"}))
        == 'from “"\\\\ufb01ne"” to “"fine"”'
    )
    assert line_of("first message", change("first_message", "e\u0301", "é")) == "from “e\\u0301” to “é”"


def test_items_of_a_long_list_come_and_go() -> None:
    ids = [f"act_{number}" for number in range(30)]
    plan = change("action_ids", ids, [*ids[1:], "act_new"])
    plan = plan_of(spec(action_ids=[*ids[1:], "act_new"]), agents=(agent(actionIds=ids),))
    assert line_of("actions it may use", plan) == "now also “act_new”; no longer “act_0”; 29 stay"
    plan = plan_of(spec(action_ids=ids))
    assert line_of("actions it may use", plan).endswith("“act_19” and 10 more")


# Nothing hides.

NASTY = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.text("`\\*_~|<>[]()!#&; -+=\n\r\t“”'\"h1a\u200b\u202e\ufe0f\u00a0\u0301\u0300", min_size=1, max_size=40),
    st.sampled_from(
        [
            "` | b` | c |",
            "<script>alert(1)</script>",
            "<!-- ",
            "![x](http://e.org/p.png)",
            "https://e.org www.e.org a@e.org",
            "a`` ` ```",
            "# a #",
            "a\n\n#### `b` will be created",
            "&lt;b&gt; &#42;",
            "a  b   c",
            " a ",
            "{{ conn.opencx_default.password }}",
        ]
    ),
).filter(lambda text: "\0" not in text)

OF_OUR_OWN = {
    "heading_open", "heading_close", "bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close",
    "paragraph_open", "paragraph_close", "inline", "text", "code_inline",
}  # fmt: skip


def tokens_of(markdown: str) -> Iterator[Token]:
    """Return what Markdown is made of, links that are only written out among it, as on Airflow's pages."""
    for token in MarkdownIt("gfm-like").parse(markdown):
        yield token
        yield from token.children or ()


def seen(markdown: str) -> list[tuple[str, str]]:
    """Return the texts that a person sees: our words, and what others wrote."""
    tokens = [*tokens_of(markdown)]
    assert {token.type for token in tokens} <= OF_OUR_OWN
    return [
        (token.type, token.content.replace("\N{NO-BREAK SPACE}", " "))
        for token in tokens
        if token.type in ("text", "code_inline") and token.content
    ]


def unescaped(shown: str) -> str:
    def character(match: re.Match[str]) -> str:
        escape = match[1]
        return {"\\": "\\", "n": "\n", "r": "\r", "t": "\t"}.get(escape) or chr(int(escape[1:], 16))

    return re.sub(r"\\(\\|n|r|t|u[0-9a-f]{4}|U[0-9a-f]{8})", character, shown)


@given(NASTY)
def test_every_character_is_seen(text: str) -> None:
    shown = visible(text)
    assert unescaped(shown) == text
    assert not {unicodedata.category(character) for character in shown if character != " "} & {
        "Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs",
    }  # fmt: skip
    assert len(shown.splitlines()) <= 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc", "a\\nb\\tc"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("\u202egnihsif", "\\u202egnihsif"),
        ("heart\u2764\ufe0f", "heart\u2764\\ufe0f"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\u3164", "\\u3164"),
        ("C:\\new", "C:\\\\new"),
        ("\u00a0", "\\u00a0"),
        ("Z\u0336\u0337\u0338\u0335", "Z\u0336\u0337\\u0338\\u0335"),
        ("sözleşmeniz, 你好, สวัสดี, नमस्ते, مرحبا, 🙂", "sözleşmeniz, 你好, สวัสดี, नमस्ते, مرحبا, 🙂"),
    ],
)
def test_what_shows_nothing_is_a_number(text: str, shown: str) -> None:
    assert visible(text) == shown


@settings(max_examples=300)
@given(st.lists(st.one_of(NASTY.map(lambda text: Quoted(visible(text))), st.just(" to ")), min_size=1, max_size=5))
def test_markdown_shows_what_others_wrote_as_it_is(words: list[str | Quoted]) -> None:
    spaced = ("value ", *(part for word in words for part in (word, " and ")))
    document = Document((Block(("heading ", *spaced), (Line(spaced),)),))
    shown = [content for kind, content in seen(to_markdown(document)) if kind == "code_inline"]
    wanted = [word.text for word in words if isinstance(word, Quoted)]
    assert [text.strip(" ") for text in shown] == [text.strip(" ") for text in wanted * 2]
    text = to_text(document)
    assert len(text.splitlines()) == 2
    for word in wanted:
        assert f"“{word.replace('”', chr(92) + 'u201d')}”" in text


@settings(max_examples=200, deadline=None)
@given(*[NASTY] * 6)
@example("a", "a\n| `b` | update |", "+49 30 1", "c", "d", "e")
def test_plan_shows_names_keys_ids_and_values_as_they_are(
    name: str, key: str, value: str, agent_id: str, old: str, undeclared: str
) -> None:
    if (
        not without_invisible(name).strip()
        or key in PhoneAgentChanges.model_fields
        or key in ("actionIds", "id", "org_id")
    ):
        return
    if spec(f"{undeclared}.") == spec(f"{name}.") or looks_the_same(old, value):
        return
    existing = PhoneAgent.from_response({"id": f"x{agent_id}", "name": name, "type": "outbound", key: old})
    others = agent(undeclared, id=f"y{agent_id}")
    plan = plan_of(spec(name, additional_fields={key: value}), agents=(existing, others))
    parts = seen(plan.markdown)
    code = [content.strip() for kind, content in parts if kind == "code_inline"]
    for text in (spec(name).agent_name, f"x{agent_id}", key, undeclared, f"y{agent_id}"):
        assert visible(text).strip() in code or not text.strip()
    if "\n" not in old + value:
        assert all(visible(text).strip() in code for text in (old, value) if text.strip())
    ours = "".join(content for kind, content in parts if kind == "text")
    assert re.fullmatch(r"[a-zA-Z0-9 ,.:;'()+?-]*", ours)


def looks_the_same(one: str, other: str) -> bool:
    return unicodedata.normalize("NFKC", visible(one)) == unicodedata.normalize("NFKC", visible(other))


@given(st.lists(NASTY, min_size=2, max_size=6))
def test_lines_of_a_long_text_are_shown_as_they_are(lines: list[str]) -> None:
    text = "\n".join(lines)
    shown = [content.strip() for kind, content in seen(plan_of(spec(first_message=text)).markdown) if kind != "text"]
    wanted = [visible(line.removesuffix("\n")).strip() for line in re.findall(r"[^\n]*\n|[^\n]+", text)]
    assert [line for line in shown[3:] if line] == [
        line for line in wanted if line
    ]  # after the connection, its service and the name


@settings(deadline=None)
@given(st.text("ab. \n", max_size=600), st.text("ab. \n", max_size=600))
def test_changes_lead_from_one_text_to_the_other(actual: str, wanted: str) -> None:
    changes = text_changes(actual, wanted)
    assert bool(changes) is (actual != wanted)
    rest, made = actual, ""
    for each in changes:
        start = 0
        while not rest[start:].startswith(each.removed + each.after) or not (made + rest[:start]).endswith(each.before):
            start += 1
        made += rest[:start] + each.added
        rest = rest[start + len(each.removed) :]
    assert sum(len(each.added) - len(each.removed) for each in changes) == len(wanted) - len(actual)


# An approval shows all that it approves.


@pytest.mark.parametrize("length", [100, 101, 300, 301, 3000])
def test_new_name_is_shown_whole(length: int) -> None:
    name = "".join(chr(ord("a") + number % 26) for number in range(length))
    plan = plan_of(spec(name, handoff_phone_number="+14155550100"))
    assert f"“{name}”" in plan.text
    assert line_of("hands calls over to", plan) == "“+14155550100”"
    assert "ATTENTION" not in plan.text


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("n" * 3001, {}),
        ("a", {"instructions": ["x" * 3001]}),
        ("a", {"action_ids": [f"act_{number}" for number in range(21)]}),
        ("a", {"additional_fields": {"k" * 1001: "b"}}),
        ("a", {"first_message": "line\n" * 61}),
    ],
    ids=["name", "text", "items", "key", "lines"],
)
def test_plan_begins_with_saying_that_a_part_is_not_shown(name: str, fields: dict[str, object]) -> None:
    plan = plan_of(spec(name, **fields), spec("short"))
    begin = "ATTENTION: of 1 agent, a part of the values is not shown"
    assert any(line.startswith(begin) for line in plan.text.splitlines()[:2])
    assert begin in "".join(content for _, content in seen(plan.markdown))
    [entry, _] = plan.as_dict()["agents"]  # type: ignore[misc]  # a list of two
    changes = {change["field"]: change["wanted"] for change in entry["changes"]}  # type: ignore[index, call-overload, union-attr]
    declared = spec(name, **fields).declared_fields
    assert changes == {**declared, "type": "outbound"}


@settings(max_examples=200, deadline=None)
@given(*[NASTY] * 4)
def test_plan_shows_what_is_near_refused_and_where_as_it_is(
    name: str, org_id: str, connection: str, model: str
) -> None:
    if not without_invisible(name).strip() or not org_id or not connection or model == "other":
        return
    declared = spec(name).agent_name
    near = PhoneAgent.from_response({"id": f"x{org_id}", "name": f"{declared} \u200b", "org_id": org_id})
    for agents, allow_near_name, field in (
        ([near], False, {}),
        ([near], True, {}),
        ([agent(declared, model=model, org_id=org_id)], False, {"model": "other"}),
    ):
        plan = plan_fleet(
            [spec(name, **field)], PhoneAgents(agents), Organization("", connection), allow_near_name=allow_near_name
        )
        parts = seen(plan.markdown)
        code = [content.strip() for kind, content in parts if kind == "code_inline"]
        assert all(visible(text).strip() in code for text in (declared, org_id, connection) if text.strip())
        for line in (*code, *plan.text.splitlines()):
            assert not {unicodedata.category(each) for each in line if each != " "} & {"Cc", "Cf", "Zl", "Zp", "Zs"}
        if allow_near_name:
            assert visible(f"{declared} \u200b").strip() in code
        elif refused := [content for content in code if in_quotes(declared) in content]:
            assert len(refused) == 1  # the reason has the name in the form of all messages, once escaped
        else:
            raise AssertionError(code)
