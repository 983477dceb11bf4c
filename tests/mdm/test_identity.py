import os
import subprocess
import sys

import pytest

from gatepost.mdm import identity
from gatepost.mdm.identity import is_dead, this_process


def test_this_process_lives_and_has_one_word():
    assert this_process() == this_process()
    assert not is_dead(this_process())


def test_a_process_that_ended_is_dead():
    script = "from gatepost.mdm.identity import this_process; print(this_process())"
    word = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert is_dead(word)


def test_whoever_has_its_number_now_is_somebody_else():
    host, boot, pid, started = this_process().split("/")
    assert int(pid) == os.getpid()
    assert is_dead(f"{host}/{boot}/{pid}/{int(started) - 1}")


@pytest.mark.parametrize("place", [0, 1])
def test_of_another_machine_or_another_container_nothing_is_known(place):
    parts = this_process().split("/")
    assert "pid:[" in parts[1]  # the namespace of process numbers
    parts[place] += "x"
    parts[3] = "1"
    assert not is_dead("/".join(parts))


@pytest.mark.parametrize("word", ["", "x", "a/b/c", "a/b/c/d", "////"])
def test_what_is_no_word_is_not_dead(word):
    assert not is_dead(word)


def test_where_nothing_can_be_looked_up_nobody_is_dead(monkeypatch, tmp_path):
    monkeypatch.setattr(identity, "_BOOT", tmp_path / "missing")
    monkeypatch.setattr(identity, "_started", lambda _: None)
    assert not is_dead(this_process())
