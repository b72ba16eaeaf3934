"""The checks of shape.py find what they are there for: each is shown a tree with one fault."""

import pytest

import shape

ARCHITECTURE = """
## Which folder may include which

| folder | may include |
|---|---|
| `daemon/base` | `proto` |
| `daemon/net` | `daemon/base`, `proto` |
| `proto` | nothing |

## `./`

| file | what |
|---|---|
| `docs/ARCHITECTURE.md` | this file |

### `daemon/base/`

| file | what |
|---|---|
| `bytes.[ch]` | bytes |
| `CMakeLists.txt` | build |
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small tree that is right; tree(name, text) adds a file."""
    files = []

    def add(name, text=""):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name not in files:
            files.append(name)
        monkeypatch.setattr(shape, "FILES", sorted(files))
        monkeypatch.setattr(
            shape, "C_FILES", sorted(name for name in files if name.endswith((".c", ".h", ".def")))
        )

    monkeypatch.setattr(shape, "ROOT", tmp_path)
    add("docs/ARCHITECTURE.md", ARCHITECTURE)
    add("daemon/base/bytes.h", "#pragma once\n")
    add("daemon/base/bytes.c", '#include "base/bytes.h"\n')
    add("daemon/base/CMakeLists.txt", "aictl_folder(base\n  SOURCES bytes.c)\n")
    add("proto/CMakeLists.txt", "aictl_folder(proto SOURCES)\n")
    add("client/CMakeLists.txt")
    add("shims/CMakeLists.txt")
    add("tests/unit/CMakeLists.txt", "foreach(folder base)\n")
    add("tests/fuzz/CMakeLists.txt")
    return add


def wrong(check):
    return "\n".join(getattr(shape, f"check_{check}")())


def test_a_file_that_is_not_named_is_found(tree):
    assert "proto/CMakeLists.txt is not named" in wrong("files")
    assert "daemon/base/bytes.c" not in wrong("files")


def test_a_name_without_its_file_is_found(tree, tmp_path):
    tree("docs/ARCHITECTURE.md", ARCHITECTURE.replace("bytes.[ch]", "bites.[ch]"))
    assert "names daemon/base/bites.c" in wrong("files")


def test_a_wildcard_outside_of_tests_is_found(tree):
    tree("docs/ARCHITECTURE.md", ARCHITECTURE.replace("bytes.[ch]", "*.c"))
    assert "a * may stand only" in wrong("files")


def test_an_upward_include_is_found(tree):
    assert wrong("includes") == ""
    tree("daemon/net/loop.h", "#pragma once\n")
    tree("daemon/base/bytes.c", '#include "net/loop.h"\n')
    assert "daemon/base may not include daemon/net" in wrong("includes")


def test_an_include_written_relative_to_its_file_is_found(tree):
    tree("daemon/base/bytes.c", '#include "bytes.h"\n')
    assert "is not a file as seen from the root" in wrong("includes")


def test_a_table_that_runs_in_a_circle_is_found(tree):
    tree("docs/ARCHITECTURE.md", ARCHITECTURE.replace("| `proto` | nothing |", "| `proto` | `daemon/net` |"))
    assert "may include itself" in wrong("includes")


def test_a_header_that_does_not_stand_alone_is_found(tree):
    assert wrong("headers") == ""
    tree("daemon/base/bytes.h", "#pragma once\nsize_t bytes_count(void);\n")
    assert "does not compile alone" in wrong("headers")


def test_a_long_file_is_found(tree):
    tree("daemon/base/bytes.c", "\n" * 1001)
    assert "1001 lines" in wrong("size")


@pytest.mark.parametrize("name", ["daemon/util/x.c", "daemon/base/str_utils.c", "client/common.h"])
def test_an_empty_name_is_found(tree, name):
    tree(name)
    assert "has no noun" in wrong("names")


@pytest.mark.parametrize(
    "text, said",
    [
        ("int a; // no\n", "// comment"),
        ("\tint a;\n", "tab"),
        ("int a; \n", "space at the end"),
        ("int a;", "no newline"),
    ],
)
def test_text_that_is_not_laid_out_is_found(tree, text, said):
    tree("daemon/base/bytes.c", text)
    assert said in wrong("text")


def test_slashes_in_strings_and_comments_are_none_of_its_business(tree):
    tree("daemon/base/bytes.c", '/* see http://x */\nconst char *a = "http://x";\n')
    assert wrong("text") == ""


def test_a_source_that_is_not_built_is_found(tree):
    tree("daemon/base/arena.c")
    assert "daemon/base/arena.c is not in aictl_folder()" in wrong("folders")


def test_a_unit_test_that_is_never_run_is_found(tree):
    tree("tests/unit/base_bytes.c")
    assert "never run" in wrong("tests")


def test_a_fuzz_target_that_is_not_registered_is_found(tree):
    tree("tests/fuzz/fuzz_json.c")
    assert "not in tests/fuzz/CMakeLists.txt" in wrong("tests")


def test_a_test_defined_twice_is_found(tree):
    tree("tests/functional/test_x.py", "def test_a():\n    pass\n\n\ndef test_a():\n    pass\n")
    assert "test_a is defined twice" in wrong("tests")


def test_a_path_of_the_machine_is_found(tree):
    tree("dev", "cd /" + "work/main\n")
    assert "outside the repository" in wrong("outside")


def test_a_dead_link_is_found(tree):
    tree("README.md", "[guide](docs/guide/none.md)\n")
    assert "links to docs/guide/none.md" in wrong("links")
