"""What README and the pages of docs/ promise: length, links, files, commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import eddygrad as eg
from eddygrad.cli.main import COMMANDS, main, parse

ROOT = Path(eg.__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120
    doors = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(doors) == 3 and all(sum(bool(line.strip()) for line in door.splitlines()) <= 12 for door in doors)


def test_a_page_of_results_is_short() -> None:
    for page in (ROOT / "docs" / "results").glob("*.md"):
        assert len(page.read_text().splitlines()) <= 80, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        if not target.startswith("http") and "/reference/" not in f"/{target}":  # the reference is written while the site is built
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_files_that_pages_name_are_there() -> None:
    rooms = "|".join(path.name for path in (ROOT / "eddygrad").iterdir() if (path / "__init__.py").exists())
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        text = page.read_text()
        for name in re.findall(rf"`((?:{rooms})/[\w/]+(?:\.py)?)[`:]", text):
            assert (ROOT / "eddygrad" / name).exists(), f"{page.name} names {name}"
        for name, members in re.findall(rf"`((?:{rooms})/[\w/]+\.py): ([\w, ]+)`", text):
            for member in members.split(", "):
                code = (ROOT / "eddygrad" / name).read_text()
                assert re.search(rf"^(?:class|def) {member}\b|^{member}\b.*=", code, re.MULTILINE), f"{page.name}: {name} has no {member}"
        for name in re.findall(r"\b((?:benchmarks|examples|tests)/[\w/]+\.(?:py|sh))", text):
            assert (ROOT / name).exists(), f"{page.name} names {name}"


def test_the_commands_parse() -> None:
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        lines = [line.partition(" #")[0].split() for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        for line in lines:
            if line[:1] == ["eddygrad"] and line[1:]:
                assert line[1] in COMMANDS, f"{page.name}: {' '.join(line)}"
                parse(line[1], line[2:])


def test_a_generated_file_can_be_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--frames", "3", "--out", str(tmp_path / "runs.nc"), "--json"]) == 0
    parts = eg.open(tmp_path / "runs.nc").split(val=0.1, test=0.2)
    assert tuple(part.samples for part in parts) == (25, 4, 7) and capsys.readouterr().out
