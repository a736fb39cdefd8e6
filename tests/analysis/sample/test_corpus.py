"""The split by module name, and the manifest of what made the bundled weights."""

import re
import subprocess
import sys

import pytest

from analysis.sample import corpus

EXCLUDED = {"test", "tests", "idlelib", "lib2to3", "pydoc_data"}


def test_the_parts_share_no_module_and_lose_none():
    names = [module.name for module in corpus.modules()]
    assert len(names) == len(set(names))
    assert {module.part for module in corpus.modules()} == set(corpus.PARTS)


def test_a_name_alone_decides_its_part():
    assert [corpus.part_of(name) for name in ("bisect", "asyncio.events", "argparse")] == [
        "heldout",
        "heldout",
        "train",
    ]


def test_about_the_promised_share_is_held_out():
    names = [f"module{i}" for i in range(2000)]
    held = sum(corpus.part_of(name) == "heldout" for name in names)
    assert held / len(names) == pytest.approx(corpus.MODULE_SHARES[0] / 100, abs=0.02)


def test_excluded_packages_are_absent():
    assert not any(EXCLUDED & set(module.name.split(".")) for module in corpus.modules())
    assert not any("-packages" in str(module.path) for module in corpus.modules())


def test_topics_are_split_by_name():
    train, heldout = corpus.topic_documents("train"), corpus.topic_documents("heldout")
    assert train
    assert heldout
    assert not set(train) & set(heldout)


def test_topics_are_absent_from_the_base_text():
    base = "".join(corpus.text(part) for part in corpus.PARTS)
    assert not any(topic[:500] in base for topic in corpus.topic_documents("heldout"))


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="expected a part among"):
        corpus.text("validation")


def test_no_sources_are_refused(tmp_path):
    with pytest.raises(ValueError, match="got none in"):
        corpus.modules(tmp_path)


def test_the_manifest_is_well_formed():
    rows = corpus.manifest()
    assert len(rows) > 300
    assert list(rows) == sorted(rows)
    for name, (digest, part) in rows.items():
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert part == ("adapter" if name == corpus.TOPICS_MODULE else corpus.part_of(name))
        assert not {"test", "tests", "idlelib", "lib2to3"} & set(name.split("."))


def test_what_was_written_does_not_differ(tmp_path):
    corpus.write_manifest(tmp_path / "manifest.csv")
    assert corpus.differences(tmp_path / "manifest.csv").none


def test_differences_name_the_modules(tmp_path):
    path = tmp_path / "manifest.csv"
    corpus.write_manifest(path)
    header, *lines = path.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("bisect,")]
    changed = [re.sub("^argparse,....", "argparse,0000", line) for line in kept]
    path.write_text("\n".join([header, *changed, f"gone,{'0' * 64},train"]) + "\n")
    assert corpus.differences(path) == corpus.Differences(("argparse",), ("gone",), ("bisect",))


def test_reading_text_needs_no_torch():
    code = "import sys, analysis.sample as s; s.topics('heldout'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
