"""Is the tree still what the documents say?  shape.py CHECK...

Each check_NAME() below yields one line per thing that is wrong; ctest runs each as shape_NAME. The
rules stand in docs/ARCHITECTURE.md and docs/CONVENTIONS.md; the tables of folders, files and
permitted includes are read from ARCHITECTURE.md itself.
"""

import concurrent.futures
import fnmatch
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = ROOT / "docs/ARCHITECTURE.md"


def tree():
    """Every file of the tree, relative to its root: those of git and new ones that it may take in."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", ROOT, "ls-files", "-z",
         "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True,
    ).stdout
    return sorted({name for name in listed.split("\0") if name and (ROOT / name).is_file()})


FILES = tree()
C_FILES = [name for name in FILES if name.endswith((".c", ".h", ".def"))]


def read(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def folder_of(name):
    return os.path.dirname(name)


# ---- files: every file is named in ARCHITECTURE.md, and every name there is a file ----------------

HEADING = re.compile(r"^#{2,4} .*?`([^`]*)/`")
ROW = re.compile(r"^\| ((?:`[^`]+`(?:, )?)+) \|")


def named_files():
    """(folder, pattern) of each row of the folder tables."""
    folder = None
    for line in read("docs/ARCHITECTURE.md").splitlines():
        if line.startswith("#"):
            match = HEADING.match(line)
            folder = match.group(1) if match else None
        elif folder is not None and (match := ROW.match(line)):
            for pattern in re.findall(r"`([^`]+)`", match.group(1)):
                yield folder, pattern


def spell_out(pattern):
    """`arena.[ch]` stands for two names, each of which has to exist."""
    if match := re.fullmatch(r"(.*)\[(\w+)\](.*)", pattern):
        return [match.group(1) + letter + match.group(3) for letter in match.group(2)]
    return [pattern]


def check_files():
    covered = set()
    for folder, written in named_files():
        for pattern in spell_out(written):
            path = pattern if folder == "." else f"{folder}/{pattern}"
            if "*" in pattern and not folder.startswith("tests"):
                yield f"ARCHITECTURE.md: {path}: a * may stand only in the tables of tests/"
            found = [name for name in FILES if matches(name, path)]
            if not found:
                yield f"ARCHITECTURE.md names {path}, which does not exist"
            covered.update(found)
    for name in FILES:
        if name not in covered:
            yield f"{name} is not named in docs/ARCHITECTURE.md"


def matches(name, pattern):
    """fnmatch per path component: a * does not cross a slash, ** at the end covers everything."""
    if pattern.endswith("/**"):
        return name.startswith(pattern[:-2])
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


# ---- includes: they run one way -------------------------------------------------------------------

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)
INCLUDE_ROW = re.compile(r"^\| `([^`]+)` \| (.*) \|$")


def permitted_includes():
    """{folder: folders it may include}, from the table under "Which folder may include which"."""
    text = read("docs/ARCHITECTURE.md")
    section = re.search(r"^#+ Which folder may include which\n(.*?)^#", text, re.MULTILINE | re.DOTALL)
    rows = {}
    for line in section.group(1).splitlines():
        if match := INCLUDE_ROW.match(line):
            rows[match.group(1)] = set(re.findall(r"`([^`]+)`", match.group(2)))
    return rows


def find_included(name, quoted):
    """The project's file an #include means, or None. Written from the root or from daemon/."""
    candidates = [quoted, f"daemon/{quoted}"]
    if name.startswith("tests/"):
        candidates += [f"tests/{quoted}", f"{folder_of(name)}/{quoted}"]
    return next((path for path in candidates if (ROOT / path).is_file()), None)


def check_includes():
    permitted = permitted_includes()
    for name in C_FILES:
        folder = folder_of(name)
        for kind, quoted in INCLUDE.findall(read(name)):
            if kind == "<":
                continue
            path = find_included(name, quoted)
            if path is None:
                yield f'{name}: "{quoted}" is not a file as seen from the root or from daemon/'
            elif folder.startswith("tests"):
                continue
            elif folder not in permitted:
                yield f"{name}: {folder} is not in ARCHITECTURE.md's table of includes"
            elif folder_of(path) != folder and folder_of(path) not in permitted[folder]:
                yield f"{name} includes {path}: {folder} may not include {folder_of(path)}"
    yield from circular(permitted)


def circular(permitted):
    """The table itself has to run one way."""
    for folder in permitted:
        seen, todo = set(), list(permitted[folder])
        while todo:
            other = todo.pop()
            if other == folder:
                yield f"ARCHITECTURE.md: {folder} may include itself by way of others"
                break
            if other not in seen:
                seen.add(other)
                todo += permitted.get(other, ())


# ---- headers: each compiles alone -----------------------------------------------------------------


def compile_alone(name, flags):
    done = subprocess.run(
        [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", '-DAICTL_VERSION="0"', "-Werror",
         "-Wall", "-I", ROOT, "-I", ROOT / "daemon", "-I", ROOT / "tests", *flags,
         "-fsyntax-only", "-include", ROOT / name, "-x", "c", os.devnull],
        capture_output=True, text=True,
    )
    return None if done.returncode == 0 else f"{name} does not compile alone:\n{done.stderr}"


def check_headers():
    modules = ["libuv", "libcurl", "msgpack", "libcjson", "libsodium", "criterion"]
    flags = shlex.split(subprocess.run(
        ["pkg-config", "--cflags", *modules], capture_output=True, text=True, check=True,
    ).stdout)
    flags += [f"-I{path}" for path in ("/usr/share/include/llhttp",) if os.path.isdir(path)]
    headers = [name for name in C_FILES if name.endswith(".h")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(lambda name: compile_alone(name, flags), headers))
    for name in headers:
        if not re.search(r"^#pragma once$", read(name), re.MULTILINE):
            yield f"{name} has no #pragma once"


# ---- size and names -------------------------------------------------------------------------------

LONGEST_FILE = 1000
EMPTY_NAMES = {"util", "utils", "common", "misc", "helpers"}


def check_size():
    for name in FILES:
        if name.startswith(("tests/golden/", "tests/fuzz/corpus/")):
            continue
        lines = read(name).count("\n")
        if lines > LONGEST_FILE:
            yield f"{name} has {lines} lines; {LONGEST_FILE} is the most"


def check_names():
    for name in FILES:
        for part in name.split("/"):
            if EMPTY_NAMES & set(re.split(r"[^a-z]+", part.lower())):
                yield f"{name}: '{part}' has no noun; it has not found its module yet"


# ---- text: what clang-format leaves alone ---------------------------------------------------------


def without_strings_and_comments(text):
    """C text with strings, characters and block comments blanked, line numbers kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.DOTALL)


def check_text():
    for name in FILES:
        if name.startswith(("tests/golden/", "tests/fuzz/corpus/")):
            continue
        text = read(name)
        if text and not text.endswith("\n"):
            yield f"{name}: no newline at the end"
        for number, line in enumerate(text.splitlines(), 1):
            if line != line.rstrip() and not name.endswith(".md"):
                yield f"{name}:{number}: space at the end of the line"
            if "\t" in line and name in C_FILES:
                yield f"{name}:{number}: tab"
    for name in C_FILES:
        for number, line in enumerate(without_strings_and_comments(read(name)).splitlines(), 1):
            if "//" in line:
                yield f"{name}:{number}: // comment; use /* */"


# ---- build: one OBJECT library per folder, with every file of it ----------------------------------


def check_folders():
    folders = sorted({folder_of(name) for name in FILES if re.fullmatch(r"daemon/\w+/\w+\.c", name)})
    for folder in [*folders, "proto"]:
        listed = read(f"{folder}/CMakeLists.txt")
        library = re.search(rf"aictl_folder\({os.path.basename(folder)}\s([^)]*)\)", listed)
        if not library:
            yield f"{folder}/CMakeLists.txt has no aictl_folder({os.path.basename(folder)} ...)"
            continue
        for name in FILES:
            if folder_of(name) == folder and name.endswith(".c"):
                if os.path.basename(name) not in library.group(1).split():
                    yield f"{name} is not in aictl_folder() of its folder"
    for folder in ("client", "shims"):
        listed = read(f"{folder}/CMakeLists.txt")
        for name in FILES:
            if folder_of(name) == folder and name.endswith(".c"):
                if not re.search(rf"\b{re.escape(os.path.basename(name))}\b", listed):
                    yield f"{name} is not in {folder}/CMakeLists.txt"


# ---- tests: every one is run ----------------------------------------------------------------------


def check_tests():
    units = [name for name in FILES if re.fullmatch(r"tests/unit/\w+\.c", name)]
    scripts = "\n".join(read(name) for name in FILES if re.fullmatch(r"tests/unit/\w+\.cmake", name))
    folders = re.search(r"foreach\(folder ([^)]*)\)", read("tests/unit/CMakeLists.txt")).group(1).split()
    for name in units:
        if os.path.basename(name) not in scripts:
            yield f"{name} is in no tests/unit/*.cmake: it is never run"
    for name in FILES:
        if match := re.fullmatch(r"tests/unit/(\w+)\.cmake", name):
            if match.group(1) not in folders:
                yield f"{name} is not included by tests/unit/CMakeLists.txt"
    for name in FILES:
        if match := re.fullmatch(r"tests/fuzz/fuzz_(\w+)\.c", name):
            if not re.search(rf"aictl_fuzz_target\({match.group(1)}\b", read("tests/fuzz/CMakeLists.txt")):
                yield f"{name} is not in tests/fuzz/CMakeLists.txt"
            if not any(other.startswith(f"tests/fuzz/corpus/{match.group(1)}/") for other in FILES):
                yield f"{name} has no corpus"
    for name in FILES:
        if re.fullmatch(r"tests/functional/.*\.py", name) and "def test_" in read(name):
            if not re.fullmatch(r"tests/functional/test_\w+\.py", name):
                yield f"{name} has tests but is not called test_*.py"
    yield from defined_twice()


def defined_twice():
    """A second test of the same name in a file replaces the first, which then never runs."""
    for name in FILES:
        if not re.fullmatch(r"tests/functional/test_\w+\.py", name):
            continue
        seen = set()
        for test in re.findall(r"^def (test_\w+)", read(name), re.MULTILINE):
            if test in seen:
                yield f"{name}: {test} is defined twice"
            seen.add(test)


# ---- outside: nothing of the machine it was written on --------------------------------------------

# In pieces, so that this file does not find itself.
PLACES = ["/" + "work/", "/" + "root/", "/tmp" + "/b/"]
REGISTRIES = [".".join(words) for words in (
    ("deb", "debian", "org"), ("snapshot", "debian", "org"), ("security", "debian", "org"),
    ("registry", "npmjs", "org"), ("pypi", "org"), ("files", "pythonhosted", "org"),
    ("crates", "io"), ("proxy", "golang", "org"), ("repo", "maven", "apache", "org"),
)]


def check_outside():
    for name in FILES:
        for number, line in enumerate(read(name).splitlines(), 1):
            for word in PLACES + REGISTRIES:
                if re.search(rf"(?<![\w.$}}]){re.escape(word)}", line):
                    yield f"{name}:{number}: {word} is a place outside the repository"


# ---- links: documents point at what is there ------------------------------------------------------

LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)")


def check_links():
    for name in FILES:
        if not name.endswith(".md"):
            continue
        for target in LINK.findall(read(name)):
            if not (ROOT / folder_of(name) / target).exists():
                yield f"{name} links to {target}, which does not exist"


def main():
    names = sys.argv[1:]
    if not names:
        names = [name[len("check_"):] for name in globals() if name.startswith("check_")]
    wrong = 0
    for name in names:
        for line in globals()[f"check_{name}"]():
            print(f"{name}: {line}")
            wrong += 1
    print(f"{len(names)} checks over {len(FILES)} files: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
