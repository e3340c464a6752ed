"""The settings of one node: what is refused, and that the refusal says where and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from huying.common.errors import Code, HuyingError
from huying.node import config
from tests.support.places import ROOT

GOOD = '[node]\nnetwork = "wenshang.example"\ncode = "370830108000"\nname = "义桥镇"\n'
DOC = ROOT / "docs" / "CONFIGURATION.md"


def refusal(text: str, path: Path, environ: dict[str, str] | None = None) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HuyingError) as caught:
        config.load(path, environ or {})
    assert caught.value.code is Code.CONFIG
    return caught.value.detail


def test_the_shortest_file_is_a_node_with_sensible_defaults(tmp_path):
    """An operator writes who the node is, and nothing that has one right answer."""
    path = tmp_path / "node.toml"
    path.write_text(GOOD, encoding="utf-8")
    loaded = config.load(path, {})
    assert loaded.parent is None
    assert loaded.sync.listen is None
    assert loaded.timing.pulse_seconds == 60
    assert loaded.data_dir == tmp_path / "data"
    assert loaded.token_file == tmp_path / "keys" / "api.token"


def test_the_mark_lies_outside_the_folder_of_the_database(tmp_path):
    """A data folder restored from a backup must not bring its own mark along."""
    loaded = config.parse(GOOD, tmp_path / "node.toml")
    assert loaded.data_dir not in loaded.mark_file.parents


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (GOOD + "colour = 1\n", "[node] colour", "unknown"),
        (GOOD + "[sink]\n", "[sink]", "unknown"),
        (GOOD.replace("370830108000", "37083010800"), "[node] code", "12 digits"),
        (GOOD.replace("wenshang.example", "Wenshang"), "[node] network", "lower-case"),
        (GOOD.replace('name = "义桥镇"', ""), "[node] name", "missing"),
        (GOOD + '[api]\nlisten = "0.0.0.0:7401"\n', "[api] listen", "loopback"),
        (GOOD + '[api]\nlisten = "127.0.0.1"\n', "[api] listen", "HOST:PORT"),
        (GOOD + '[sync]\nlisten = "0.0.0.0:70000"\n', "[sync] listen", "HOST:PORT"),
        (GOOD + "[timing]\npulse_seconds = 0\n", "[timing] pulse_seconds", "over 0"),
        (GOOD + "[timing]\npulse_seconds = nan\n", "[timing] pulse_seconds", "number of seconds"),
        (
            GOOD + '[parent]\ncode = "370830100000"\naddress = "h:1"\n',
            "[parent] code",
            "not a division above",
        ),
        (
            GOOD + '[timing]\npulse_seconds = "soon"\n',
            "[timing] pulse_seconds",
            "number of seconds",
        ),
        (GOOD + "[timing]\npulse_seconds = true\n", "[timing] pulse_seconds", "number of seconds"),
        (GOOD + '[log]\nlevel = "loud"\n', "[log] level", "one of"),
        (GOOD.replace('"义桥镇"', '"a\\nb"'), "[node] name", "printable"),
        ("node = 1\n", "node", "section"),
        ("[node\n", "", "not valid TOML"),
    ],
)
def test_a_fault_is_named_by_file_section_key_and_remedy(tmp_path, text, where, what):
    """Who edits the file at a village has nobody to ask."""
    path = tmp_path / "node.toml"
    detail = refusal(text, path)
    assert str(path) in detail
    assert where in detail
    assert what in detail


def test_every_fault_is_told_at_once(tmp_path):
    """One run, one list: nobody likes to mend a file line by line."""
    detail = refusal("[node]\nnetwork = 'X'\ncode = '1'\n", tmp_path / "node.toml")
    assert len(detail.splitlines()) == 3 + 1


def test_the_environment_overrides_the_file(tmp_path):
    """A container sets addresses without writing files."""
    path = tmp_path / "node.toml"
    path.write_text(GOOD + "[timing]\npulse_seconds = 5\n", encoding="utf-8")
    environ = {"HUYING_TIMING__PULSE_SECONDS": "2.5", "HUYING_CONFIG": "not a setting of the file"}
    assert config.load(path, environ).timing.pulse_seconds == 2.5


def test_a_misspelt_environment_variable_is_refused(tmp_path):
    """An override that silently does nothing is worse than none."""
    detail = refusal(GOOD, tmp_path / "n.toml", {"HUYING_TIMING__PULSE": "2"})
    assert "HUYING_TIMING__PULSE" in detail


def test_a_bad_environment_value_is_blamed_on_the_environment(tmp_path):
    """The file is right; who reads the message must not search it."""
    detail = refusal(GOOD, tmp_path / "n.toml", {"HUYING_TIMING__PULSE_SECONDS": "soon"})
    assert "HUYING_TIMING__PULSE_SECONDS in the environment" in detail


def test_a_missing_file_says_how_to_make_one(tmp_path):
    """The first thing a stranger meets."""
    with pytest.raises(HuyingError, match="huying init"):
        config.load(tmp_path / "node.toml", {})


def test_every_setting_is_explained_in_the_documentation():
    """The table in docs/CONFIGURATION.md is the code's own, word for word."""
    text = DOC.read_text(encoding="utf-8")
    for setting in config.settings():
        row = f"| `{setting.key}` | `{setting.default}` | {setting.help} |"
        assert row in text, f"docs/CONFIGURATION.md lacks, in [{setting.section}]: {row}"
        assert f"## [{setting.section}]" in text


def test_the_documentation_explains_no_setting_that_is_not_there():
    """A setting that was removed must leave the page too."""
    rows = [line for line in DOC.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(rows) == len(config.settings())


def test_show_tells_names_of_files_and_no_secret(tmp_path):
    """`huying config show` is pasted into tickets."""
    token = tmp_path / "keys" / "api.token"
    token.parent.mkdir()
    token.write_text("a-secret-of-many-characters-indeed")
    shown = config.show(config.parse(GOOD, tmp_path / "node.toml"))
    assert shown["api"]["token_file"] == "keys/api.token"
    assert "a-secret" not in str(shown)
