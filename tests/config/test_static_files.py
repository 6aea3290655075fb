"""Static files are collected once, and again when one of them changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.web import static_files


@pytest.fixture
def collected(settings: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that were called; one source file of this test's own."""
    called: list[str] = []

    def collect(name: str, **_: object) -> None:
        called.append(name)
        (tmp_path / "root").mkdir(exist_ok=True)

    monkeypatch.setattr(static_files, "call_command", collect)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "own.css").write_text("a {}")
    settings.STATIC_ROOT = tmp_path / "root"  # type: ignore[attr-defined]  # pytest-django's settings take any name
    settings.STATICFILES_DIRS = [tmp_path / "source"]  # type: ignore[attr-defined]
    return called


def test_collect__nothing_changed__is_done_once(collected: list[str]) -> None:
    static_files.collect()
    static_files.collect()
    assert collected == ["collectstatic"]


def test_collect__a_file_changed_or_the_folder_gone__is_done_again(
    collected: list[str], tmp_path: Path
) -> None:
    static_files.collect()
    (tmp_path / "source" / "own.css").write_text("a { color: red }")
    static_files.collect()
    (tmp_path / "root" / static_files.COLLECTED).unlink()
    static_files.collect()
    assert len(collected) == 3
