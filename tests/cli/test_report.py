import pytest

from sb3_distral.cli import main


def test_a_run_becomes_a_page(finished, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    main(["report", str(finished), "--output", str(tmp_path / "page.html")])
    assert f"Report: {tmp_path / 'page.html'}" in capsys.readouterr().out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Finished: 2,000 of 2,000 steps logged." in page and "maze-1" in page and "Stable-Baselines3" in page


def test_without_matplotlib_the_extra_is_named(finished, refused, monkeypatch):
    monkeypatch.setattr("sb3_distral.cli.evaluate.find_spec", lambda name: None)
    assert "sb3-distral report needs matplotlib" in refused("report", finished)
    assert "pip install 'sb3-distral[pictures]'" in refused("report", finished)


def test_a_folder_that_is_no_run_is_refused(refused, tmp_path):
    pytest.importorskip("matplotlib")
    assert "expected the folder of a run" in refused("report", tmp_path)
