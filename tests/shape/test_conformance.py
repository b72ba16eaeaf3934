"""docs/CONFORMANCE.md is true: the tests it names exist, and no numbered test of its files is missing."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/CONFORMANCE.md").read_text()
FILES = dict(re.findall(r"^\| ([\w-]+) \| (tests/\S+\.py) \|", TEXT, re.MULTILINE))
NAMED = [(pattern, word.strip()) for pattern, words in re.findall(r"`(test_\w+\*?)` \(([\w, -]+)\)", TEXT)
         for word in words.split(",")]
NUMBERED = re.compile(r"test_[fscae]\d\d_")


def names_in(word):
    return re.findall(r"^def (test_\w+)", (ROOT / FILES[word]).read_text(), re.MULTILINE)


def matches(pattern, test):
    return test.startswith(pattern[:-1]) if pattern.endswith("*") else test == pattern


def test_every_name_stands_with_its_files():
    assert len(FILES) > 10 and len(NAMED) > 100
    assert TEXT.count("`test_") == len(re.findall(r"`test_\w+\*?` \(", TEXT)) + TEXT.count("A name like `test_")


@pytest.mark.parametrize("pattern, word", sorted(set(NAMED)))
def test_what_is_named_exists(pattern, word):
    assert any(matches(pattern, test) for test in names_in(word)), f"no {pattern} in {FILES[word]}"


@pytest.mark.parametrize("word", [word for word, file in FILES.items() if "conversion" in file])
def test_every_numbered_test_is_named(word):
    for test in names_in(word):
        named = any(matches(pattern, test) for pattern, other in NAMED if other == word)
        assert named or not NUMBERED.match(test), f"{test} of {FILES[word]} is not in docs/CONFORMANCE.md"


def test_paths_in_it_exist():
    for path in re.findall(r"\btests/[\w/]+\.\w+", TEXT):
        assert (ROOT / path).is_file(), path
