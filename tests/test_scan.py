"""The raw scan, part by part, against what is obvious."""

from __future__ import annotations

import json
from functools import cache
from ipaddress import IPv4Address, ip_network
from random import Random
from typing import Any

import kit
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import ip_addresses
from test_regexruns import REGEXES

from molehunt.conditions import Cidr, FieldIs, Number, Regex, Wanted
from molehunt.detectors.matching import choose
from molehunt.detectors.matching.evaluate import View, evaluate
from molehunt.detectors.matching.fields import FieldMap, Place
from molehunt.detectors.matching.necessary import ESCAPES, NO_CASE
from molehunt.detectors.matching.needles import Reader, can_pair, leaf_of_words, pattern_of
from molehunt.detectors.matching.plan import compile_plan, reference_plan
from molehunt.detectors.matching.route import odd_lines
from molehunt.detectors.matching.scan import Scan, scanner, where
from molehunt.detectors.reading.inputs import ends_of
from molehunt.detectors.records import Binding, Locator, Record
from molehunt.problems import Problem
from molehunt.taxonomy import taxonomy

LETTERS = st.sampled_from(b'abA"\\/. \xc3\xa9')
WORDS = st.lists(LETTERS, min_size=1, max_size=4).map(lambda found: bytes(found).lower())
SETS = st.frozensets(WORDS, min_size=1, max_size=3)
LINES = st.lists(st.lists(LETTERS, max_size=12).map(bytes), min_size=1, max_size=6)


def lines_of(hits: list[tuple[int, int]], data: bytes) -> set[tuple[int, int]]:
    """Which pattern in which line, from where they end."""
    return {(index, data.count(b"\n", 0, end)) for index, end in hits}


@given(st.lists(WORDS, min_size=1, max_size=4, unique=True), LINES, st.booleans())
def test_literals_are_found_in_every_line(
    words: list[bytes], lines: list[bytes], fast: bool
) -> None:
    """With Hyperscan and with RE2: each literal in each line that has it, case aside."""
    data = b"\n".join(lines)
    found = lines_of(scanner(words, fast)(data), data)
    low = [line.lower() for line in lines]
    assert found == {
        (index, number)
        for index, word in enumerate(words)
        for number, line in enumerate(low)
        if word in line
    }


@given(SETS, SETS, LINES)
def test_pairs_are_found_in_either_order(
    left: frozenset[bytes], right: frozenset[bytes], lines: list[bytes]
) -> None:
    """Both in one line, whichever comes first, even where they overlap; never across lines."""
    data = b"\n".join(lines)
    columns = frozenset(["path"])
    ways = pattern_of((leaf_of_words(columns, left), leaf_of_words(columns, right)))
    found = lines_of(scanner([], True, ways)(data), data)
    low = [line.lower() for line in lines]
    assert {number for _, number in found} == {
        number
        for number, line in enumerate(low)
        if any(word in line for word in left) and any(word in line for word in right)
    }


def test_two_gaps_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hyperscan loses matches of caseless expressions with a short text between two open gaps."""
    monkeypatch.setattr(choose, "PAYS", 2.0)
    monkeypatch.setattr(choose, "COMMON", -1.0)
    rule = kit.rule(
        "selection:\n    cwd: '*'\n    cmdline: 'Z*/usr/bin/sh'\n    name: sh\ncondition: selection"
    )
    lines = [
        kit.line({"cwd": "x" * size, "name": "sh", "cmdline": "Z/usr/bin/sh", "path": "p"})
        for size in range(1, 40)
    ]
    block = kit.block(*lines)
    plan = compile_plan([rule], taxonomy(), kit.binder(), "hyperscan")
    plan.tune(block.data)
    assert len(list(plan.matches([block], lambda _: None))) == len(lines)


@pytest.mark.parametrize("seed", range(12))
def test_pairs_and_literals_in_one_database_lose_nothing(seed: int) -> None:
    """Hyperscan loses matches over long gaps if a text of two bytes is on one side."""
    rng = Random(seed)

    def word(least: int, most: int) -> bytes:
        return bytes(rng.choice(b"abcdefghijklmnop") for _ in range(rng.randint(least, most)))

    paired = 0
    for _ in range(60):
        left, right = ([word(2, 12) for _ in range(rng.randint(1, 3))] for _ in range(2))
        gap = b"." * rng.choice((0, 5, 20, 40, 80, 300))
        line = word(0, 3) + rng.choice(left) + gap + rng.choice(right) + word(0, 3) + b"\n"
        one, other = (
            leaf_of_words(frozenset([name]), frozenset(words))
            for name, words in (("a", left), ("b", right))
        )
        if not can_pair(one, other):
            continue
        paired += 1
        ways = pattern_of((one, other))
        literals = [left[0], right[0], b"qz", word(2, 2)]
        hits = {index for index, _ in scanner(literals, True, ways)(line)}
        assert hits & {len(literals), len(literals) + 1}, (left, right, line)
    assert paired > 5


@pytest.mark.parametrize(
    "pattern",
    [r"ab.*cdefgh", r"abcdef[^x]*gh", r"q.*rstu(.*vw)?", r"(ab|cdefgh).*xyz", r"abc(d.*ef)+ghi"],
)
@pytest.mark.parametrize("size", [0, 20, 40, 300])
def test_short_texts_beside_a_gap_are_not_relied_on(pattern: str, size: int) -> None:
    """Whatever else is searched for in the same database."""
    text = {"ab.*c": "ab{}cdefgh", "abcde": "abcdef{}gh", "q.*rs": "q{}rstu", "(ab|c": "ab{}xyz",
            "abc(d": "abcd{}efghi"}[pattern[:5]].format("." * size)  # fmt: skip
    assert holds(Regex(pattern), text, "control_text")
    (branch,) = Reader(fields("control_text"), {"f": frozenset(["c"])}).branches(
        FieldIs("f", Regex(pattern))
    )
    literals = [b"ab", b"ef", b"gh", b"qz", b"vw", b"cd"]
    for leaf in branch:
        hits = scanner(literals, True, [leaf.pattern])(json.dumps({"c": text}).encode() + b"\n")
        assert any(index == len(literals) for index, _ in hits), leaf


def test_words_that_are_common_alone_are_looked_for_together() -> None:
    """And then only lines with both are looked into; all engines find the same."""
    rule = kit.rule(
        "selection:\n    path|contains: alpha\n    cmdline|contains: omega\ncondition: selection"
    )
    rows = [
        {"path": "/bin/alpha" if number % 2 else "/x", "cmdline": "x" if number % 2 else "omega"}
        for number in range(400)
    ]
    rows += [{"path": "/omega/alpha", "cmdline": "omega"}, {"cmdline": "omega", "path": "alpha"}]
    block = kit.block(*(kit.line(row) for row in rows))
    plan = compile_plan([rule], taxonomy(), kit.binder(), scan="hyperscan")
    plan.tune(block.data)
    assert plan._choice.patterns
    found = [match.record.locator for match in plan.matches([block], print)]
    slow = reference_plan([rule], taxonomy(), kit.binder())
    assert found == [match.record.locator for match in slow.matches([block], print)]
    assert len(found) == 2
    assert plan.counts.parsed == 2


@pytest.mark.parametrize(
    ("asked", "common", "rare"),
    [
        (r"cmdline|re: '\s-[a-z]*o +\S+\.(png|mp[34])(\s|$)'", "x -o a.txt", "x -qo b.mp3"),
        (r"cmdline|re: 'a+x.*one|b+y.*two$'", "aax by ono two!", "bby two"),
        ("cmdline: '* -??R *'", "ssh -oxy R x", "ssh -fNR x"),
    ],
)
def test_what_has_no_literal_is_searched_for_by_its_parts(
    asked: str, common: str, rare: str
) -> None:
    """Expressions with several open repetitions, alternatives and holes of one character."""
    rule = kit.rule(f"selection:\n    path|endswith: /tool\n    {asked}\ncondition: selection")
    rows = [{"path": "/bin/tool", "cmdline": common} for _ in range(400)]
    rows += [{"path": "/bin/tool", "cmdline": rare}]
    block = kit.block(*(kit.line(row) for row in rows))
    plan = compile_plan([rule], taxonomy(), kit.binder(), scan="hyperscan")
    plan.tune(block.data)
    assert plan.share(block.data) < 0.01
    assert [m.record.locator.line for m in plan.matches([block], print)] == [401]


@given(
    st.lists(st.sampled_from([b"{}", b"{}\r", b"", b"x", b"{", b"}", b" {} ", b"[1]"]), max_size=7)
)
def test_odd_lines_are_those_that_are_no_objects(lines: list[bytes]) -> None:
    """By their place in the block."""
    data = b"\n".join(lines)
    want = {
        number
        for number, whole in enumerate(data.split(b"\n"))
        if (line := whole.strip(b" \t\r")) and not (line.startswith(b"{") and line.endswith(b"}"))
    }
    if data and not data.endswith(b"\n"):
        want.add(data.count(b"\n"))
    assert odd_lines(data, ends_of(data)) == want


def test_a_line_cut_anywhere_is_told() -> None:
    """By all engines alike, with no literal of any rule in it: at every byte of a line."""
    rule = kit.rule("selection:\n    path|contains: nowhere\ncondition: selection")
    whole = compact({"path": "/bin/sh", "pid": "7"}, {"hostname": "h", "owner": "x"})
    block = kit.block(*(whole[:size] for size in range(len(whole) + 1)))
    told = []
    for scan in ("hyperscan", "re2", ""):
        problems: list[Problem] = []
        plan = compile_plan([rule], taxonomy(), kit.binder(), scan=scan)
        assert not list(plan.matches([block], problems.append))
        told.append([problem.line for problem in problems])
        for size in range(1, len(whole)):
            last = block._replace(data=whole + b"\n" + whole[:size])
            problems.clear()
            assert not list(plan.matches([last], problems.append))
            assert [problem.line for problem in problems] == [2]
    assert told[0] == told[1] == told[2] == list(range(2, len(whole) + 1))


def test_where_tells_lines() -> None:
    """By the offset of their end; an expression that cannot be read is left out."""
    assert where(b"ab\nb\nA\n", [b"a", b"b", b"("]) == {b"a": {2, 6}, b"b": {2, 4}}


def test_kelvin_and_long_s_match_without_their_letters() -> None:
    """RE2 folds beyond ASCII; the scan must not ask for the ASCII letter."""
    rule = kit.rule("selection:\n    path|re|i: 'ris[k]task'\ncondition: selection")
    assert kit.fires([rule], kit.line({"path": "ri\u017fKta\u017f\u212a"}))


def compact(columns: dict[str, Any], decorations: dict[str, Any], name: str = "q") -> bytes:
    """A result line without spaces."""
    document = {"name": name, "hostIdentifier": "h", "decorations": decorations}
    whole = document | {"columns": columns, "action": "added"}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


def fields(*normalisers: str) -> FieldMap:
    """One field in one column."""
    places = {"f": Place("column", "c", normalisers)}
    return FieldMap(taxonomy().stores["osquery"], "t", places, (), ())


@cache
def finders(value: Wanted, *normalisers: str) -> list[Scan]:
    """What may be searched for a comparison: all of it must be there."""
    (branch,) = Reader(fields(*normalisers), {"f": frozenset(["c"])}).branches(FieldIs("f", value))
    return [scanner([], True, pattern_of((leaf,))) for leaf in branch]


def is_found(value: Wanted, line: bytes, *normalisers: str) -> bool:
    """Whether what is searched for the comparison is in the line."""
    return all(find(line + b"\n") for find in finders(value, *normalisers))


def holds(value: Wanted, logged: Any, *normalisers: str) -> bool:
    """Whether the evaluator says so."""
    values = {"c": logged}
    binding = Binding("q", "unbound", None)
    where_from = Locator("", 0, 0, 0)
    record = Record("osquery", "q", "h", None, "added", None, None, values, {}, {}, None,
                    where_from, binding)  # fmt: skip
    return evaluate(FieldIs("f", value), View(record, fields(*normalisers))).holds


WHOLE = (
    *REGEXES,
    r"\s-[A-Za-z]*k[FTd]\s",
    r"^\S+\s+[^/\\\"]+\.(png|js)(\s|$)",
    r"-(W|R)\s?(\s|\"|')([0-9a-f]{2}\s?){2,20}(\s|\"|')",
    r"(?i)ris[k]y(\s?)+ta.k",
    r"[\[\]]{3}\W\D\S..x",
    "caf\u00e9 \u2028.{3,}end",
    r"a\tb\nc",
    r"\s-[A-Za-z]*R ?(\[?[a-z0-9.:*_-]*\]?:)?[0-9]+:[^ ]*:(22|590[0-9])(\s|$)",
    r"^(\"[^\"]*\"|\S+)(\s+--?\S+)*\s+[\"']?(\S*[/\\])?[^\s/\\\"']+\.(otf|mp[34])[\"']?(\s|$)",
    r"https?://[^\s/:@]+:[^\s/@]+@",
    r"one.*two\d{2,}three[^x]+four\\x{2,3}(?:$|[;\"])",
    r"(?m)end[a-z]+$\n+next$",
)


@pytest.mark.parametrize("pattern", WHOLE)
@given(data=st.data())
def test_what_a_regex_finds_in_a_text_is_found_in_the_line(
    pattern: str, data: st.DataObject
) -> None:
    """However JSON, or osquery inside it, spells the text; lines with `ESCAPES` apart."""
    text = data.draw(st.from_regex(pattern.replace("(?P<name>", "(?:")))
    value = Regex(pattern)
    spelled = "".join(
        "".join(f"\\x{byte:02X}" for byte in letter.encode())
        if not " " <= letter <= "~" and data.draw(st.booleans())
        else letter
        for letter in text
    )
    for logged in (text, spelled):
        if not holds(value, logged, "control_text"):
            continue
        for ascii_only in (True, False):
            line = json.dumps({"c": logged}, ensure_ascii=ascii_only).encode(errors="replace")
            if not any(escape in line for escape in ESCAPES):
                assert is_found(value, line, "control_text"), (pattern, line)


@pytest.mark.parametrize("pattern", [r"^50[0-9]{2}$", r"[0-9]{3}(\s|$)", r"^7.*77$|5+02(?:$|[a])"])
@given(number=st.integers(0, 9999) | st.sampled_from([5021, 502, 55502, 7077]))
def test_what_a_regex_finds_in_a_number_is_found_in_the_line(pattern: str, number: int) -> None:
    """A JSON number has no quotes; it may stand in a list, and before a space."""
    if holds(Regex(pattern), number, "control_text"):
        for value in (number, str(number), [number, 1], [1, number], [str(number)]):
            for separators in ((",", ":"), (" , ", " : ")):
                row = {"a": "1", "c": value} if number % 2 else {"c": value, "d": 1}
                line = json.dumps(row, separators=separators).encode()
                assert is_found(Regex(pattern), line, "control_text"), line


NUMBERS = st.sampled_from(
    ["22", "022", "+22", "22.0", "21.99999999999999999999", "22.00000000000000000001", "-0", "0",
     "0.0", "2.2e1", "220e-1", "220", "221", "1", "-22", "22.5"]
)  # fmt: skip


@given(st.sampled_from([0, 22, 1]), NUMBERS, st.booleans())
def test_numbers_are_found_in_all_spellings(number: int, text: str, quoted: bool) -> None:
    """As text and as JSON numbers."""
    try:
        logged = text if quoted else json.loads(text)
    except ValueError:
        return
    shown = json.dumps(text) if quoted else text
    if holds(Number(number), logged, "control_text"):
        for space in ("", " "):
            line = f'{{"a":"1","c"{space}:{space}{shown}}}'.encode()
            assert is_found(Number(number), line, "control_text"), line
            line = f'{{"c":[{shown},"x"]}}'.encode()
            assert is_found(Number(number), line, "control_text"), line


NETWORKS = ("192.0.2.0/24", "198.18.0.0/15", "10.0.0.0/8", "203.0.113.7/32", "203.0.113.4/30",
            "1.2.0.0/16", "0.0.0.0/0", "2001:db8::/32", "fe80::/10", "::1/128")  # fmt: skip


@pytest.mark.parametrize("network", NETWORKS)
@given(data=st.data())
def test_addresses_are_found_in_all_spellings(network: str, data: st.DataObject) -> None:
    """IPv4 as itself and inside IPv6, short and long, in either case."""
    net = ip_network(network)
    address = data.draw(ip_addresses(network=net))
    texts = [str(address), address.exploded, f"{address}%eth0"]
    if isinstance(address, IPv4Address):
        one, two = divmod(int(address), 1 << 16)
        texts += [f"::ffff:{address}", f"0:0:0:0:0:FFFF:{one:04X}:{two:x}"]
        texts += [f"::ffff:{one:x}:{two:x}"]
    for text in texts:
        assert holds(Cidr(network), text, "ip")
        for line in (json.dumps({"c": text}), json.dumps({"c": ["x", text.upper()]})):
            assert is_found(Cidr(network), line.encode(), "control_text", "ip"), line


def test_no_character_beyond_has_another_case() -> None:
    """So that the search for characters that fold alike may end there."""
    assert all(chr(code) == chr(code).lower() for code in range(NO_CASE, 0x110000))
