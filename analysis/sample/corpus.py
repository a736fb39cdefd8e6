"""The sample's text: the standard library of the interpreter at hand, split by module name.

No text is shipped. The model's `manifest.csv` records which modules, byte for byte, made the
bundled weights; two builds of one Python version share only part of those bytes, so
`differences` says what the interpreter at hand has otherwise. The adapter learns from
the help topics of `pydoc_data.topics`, which the base model never sees.
"""

import csv
import sysconfig
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path

MANIFEST = Path(__file__).parent / "model" / "manifest.csv"
PARTS = ("train", "calibration", "heldout")
TOPICS_MODULE = "pydoc_data.topics"
# Tests, applications and what was installed later; the adapter alone reads `pydoc_data`.
EXCLUDED = frozenset(
    {"test", "tests", "idlelib", "lib2to3", "ensurepip", "pydoc_data"}
    | {"site-packages", "dist-packages"}
)
# Of 100 names: how many are held out, and how many are for calibration.
MODULE_SHARES = (8, 4)
TOPIC_SHARES = (25, 0)


@dataclass(frozen=True)
class Module:
    """One source file of the standard library."""

    name: str
    path: Path

    @property
    def part(self) -> str:
        """The part that this module's name falls into."""
        return part_of(self.name)

    @property
    def sha256(self) -> str:
        """Digest of the file's bytes."""
        return sha256(self.path.read_bytes()).hexdigest()

    def source(self) -> str:
        """Read the source as its coding cookie says, with Unix newlines."""
        with tokenize.open(self.path) as file:
            return file.read()


@dataclass(frozen=True)
class Differences:
    """Module names where the interpreter at hand departs from the manifest."""

    changed: tuple[str, ...]
    missing: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def none(self) -> bool:
        """Whether every byte agrees."""
        return not (self.changed or self.missing or self.added)


def _draw(name: str) -> int:
    """Draw a number that the name alone decides, the same on every machine."""
    return int.from_bytes(sha256(f"stdlib:{name}".encode()).digest()[:8], "big")


def part_of(name: str, shares: tuple[int, int] = MODULE_SHARES) -> str:
    """Return the part of a module or topic: its name's hash against shares in per cent."""
    heldout, calibration = shares
    draw = _draw(name) % 100
    if draw < heldout:
        return "heldout"
    return "calibration" if draw < heldout + calibration else "train"


def _checked(part: str) -> str:
    if part not in PARTS:
        raise ValueError(f"expected a part among {PARTS}, got {part!r}")
    return part


def _stdlib() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _sources(root: Path) -> Iterator[Module]:
    # What is installed in site-packages may be large, so it is not even listed.
    tops = (top for top in root.iterdir() if top.name not in EXCLUDED)
    for path in (path for top in tops for path in (top.rglob("*.py") if top.is_dir() else [top])):
        parts = path.relative_to(root).with_suffix("").parts
        # Names that no `import` could spell are build leftovers, with machine paths in them.
        importable = path.suffix == ".py" and all(part.isidentifier() for part in parts)
        if importable and EXCLUDED.isdisjoint(parts):
            yield Module(".".join(parts).removesuffix(".__init__"), path)


@cache
def modules(root: Path | None = None) -> tuple[Module, ...]:
    """List the library's modules in the order of their draw: any prefix is a fair sample."""
    root = root or _stdlib()
    found = sorted(_sources(root), key=lambda module: (_draw(module.name), module.name))
    if not found:
        raise ValueError(f"expected the standard library's sources, got none in {root}")
    return tuple(found)


def documents(part: str) -> list[str]:
    """Read the sources of one part, a string for each module that is not blank."""
    _checked(part)
    sources = (module.source() for module in modules() if module.part == part)
    return [source for source in sources if source.strip()]


def text(part: str) -> str:
    """Read the sources of one part as one string."""
    return "\n".join(documents(part))


def topic_documents(part: str) -> list[str]:
    """List Python's help topics of one part, in order of name; calibration has none."""
    _checked(part)
    topics: dict[str, str] = import_module(TOPICS_MODULE).topics
    return [topics[name] for name in sorted(topics) if part_of(name, TOPIC_SHARES) == part]


def topics(part: str) -> str:
    """Join Python's help topics of one part to one string."""
    return "\n".join(topic_documents(part))


def current() -> dict[str, tuple[str, str]]:
    """Map each module of the interpreter at hand, and the help topics, to sha256 and part."""
    path = _stdlib().joinpath(*TOPICS_MODULE.split(".")).with_suffix(".py")
    rows = {module.name: (module.sha256, module.part) for module in modules()}
    rows[TOPICS_MODULE] = (Module(TOPICS_MODULE, path).sha256, "adapter")
    return dict(sorted(rows.items()))


def write_manifest(path: Path) -> None:
    """Write what the interpreter at hand has, as `module,sha256,part`."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("module", "sha256", "part"))
        writer.writerows((name, *row) for name, row in current().items())


def manifest(path: Path = MANIFEST) -> dict[str, tuple[str, str]]:
    """Map each module that made the bundled weights to its sha256 and part."""
    with path.open(newline="") as file:
        return {row["module"]: (row["sha256"], row["part"]) for row in csv.DictReader(file)}


def manifest_hash(path: Path = MANIFEST) -> str:
    """Return the digest that every absolute perplexity of the sample carries."""
    return sha256(path.read_bytes()).hexdigest()


def differences(path: Path = MANIFEST) -> Differences:
    """Say what the interpreter at hand has otherwise than the manifest."""
    then, now = manifest(path), current()
    shared = then.keys() & now.keys()
    return Differences(
        changed=tuple(sorted(name for name in shared if then[name] != now[name])),
        missing=tuple(sorted(then.keys() - now.keys())),
        added=tuple(sorted(now.keys() - then.keys())),
    )
