"""The loop sees what it is there to see: planted faults, in a parser of its own and in the real ones."""

import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from tests.fuzz import command, loop, targets_eas
from tests.fuzz.loop import Lines, Report, run, shrink
from tests.fuzz.target import Broken, Target, beginnings, cut_at, promise
from tests.fuzz.targets import TARGETS

from gatepost.gateway import forwarding
from gatepost.gateway.reading import Reading
from gatepost.wire import proxy_protocol
from gatepost.wire.eas import plain_query

ROOT = Path(__file__).parent.parent.parent


def target(check, **other) -> Target:
    said = {"seeds": (b"abc,def",), "pieces": cut_at(b","), "tokens": (b"!",), "watched": ("tests.fuzz.target",)}
    return Target("planted", check, **said | other)


def test_an_exception_is_found_and_shrunk():
    def check(data: bytes) -> bool:
        if data.count(b"!") == 2:
            raise KeyError(data)
        return True

    report = run(target(check), "0", 3000)
    assert len(report.findings) == 1
    assert report.findings[0].error.startswith("KeyError")
    assert shrink(target(check), report.findings[0]).data == b"!!"


def test_a_broken_promise_is_found_once_for_each():
    def check(data: bytes) -> bool:
        promise(b"!" not in data, "one")
        promise(b"c," in data, "another")
        return True

    report = run(target(check), "0", 2000)
    assert sorted(finding.error for finding in report.findings) == ["Broken: another", "Broken: one"]


def test_slowness_is_found(monkeypatch):
    monkeypatch.setattr(loop, "LONGEST_SECONDS", 0.01)

    def check(data: bytes) -> bool:
        began = time.process_time()
        while b"!" in data and time.process_time() - began < 0.02:
            pass
        return True

    assert [finding.trace for finding in run(target(check), "0", 60).findings] == ["slow"]


def test_memory_is_watched(monkeypatch):
    readings = iter([10_000, 10_000 + 64 * 1024, 10_000, 10_001 + 64 * 1024])
    monkeypatch.setattr(loop, "_memory", lambda: next(readings))
    assert run(target(lambda _: True), "0", 10).findings == []
    (finding,) = run(target(lambda _: True), "0", 10).findings
    assert "memory grew by 65537 KiB" in finding.error


def test_a_run_can_be_had_again():
    again = [run(TARGETS["forwarded"], "7", 3000) for _ in range(2)]
    assert again[0].accepted == again[1].accepted
    assert again[0].lines == again[1].lines


def test_inputs_that_reach_new_lines_are_kept():
    report = run(TARGETS["base64-query"], "0", 4000)
    assert report.corpus > len(TARGETS["base64-query"].seeds)


def test_lines_are_those_of_the_watched_modules_only():
    lines = Lines(target(lambda _: True))
    assert lines.new(lambda: promise(True, "")) == (True, None)
    assert lines.new(lambda: promise(True, "")) == (False, None)
    assert lines.new(lambda: TARGETS["forwarded"].seeds) == (False, TARGETS["forwarded"].seeds)
    assert lines.new(lambda: list(beginnings(b"ab"))) == (True, [b"", b"a"])


# -- faults planted in the real parsers

_parameters, _on_url, _check_type = plain_query._parameters, Reading.on_url, forwarding.content_type
_line = proxy_protocol._line


def _last_one_counts(query: bytes) -> dict[str, bytes]:
    first, _, rest = query.partition(b"&DeviceId=")
    return _parameters(first + b"&DeviceId=" + rest.rpartition(b"&DeviceId=")[2] if rest else query)


def _only_the_last_piece(self: Reading, url: bytes) -> None:
    self.url = b""
    _on_url(self, url)


def _any_exception(self: Reading, url: bytes) -> None:
    _on_url(self, url)
    {}[url] if b"%%" in url else None


def _ends_early(data: bytes) -> proxy_protocol.ProxyHeader | None:
    return _line(data.partition(b"\r")[0] + b"\r\n") if len(data) > 16 else None


def _no_look_at_the_root(eas, headers, body, *, empty):
    return b"application/vnd.ms-sync.wbxml" if not empty else _check_type(eas, headers, body, empty=empty)


FAULTS = {
    "a raw escape": ("query", plain_query, "_escape", lambda value: value, "byte in the query"),
    "an escape left out": ("query", plain_query, "unescape", lambda value: value, "something else"),
    "the last of two counts": ("query", plain_query, "_parameters", _last_one_counts, "twice"),
    "a URL in pieces": ("http", Reading, "on_url", _only_the_last_piece, "whole and in pieces"),
    "an exception that the parser swallows": ("http", Reading, "on_url", _any_exception, "KeyError"),
    "no look at the root": ("http", forwarding, "content_type", _no_look_at_the_root, "WrongBody"),
    "half a line is enough": ("proxy-protocol", proxy_protocol, "_line", _ends_early, "what was known already"),
    "a fact that is too long": ("wbxml", targets_eas.device_information, "_value", lambda text: text, "a fact"),
    "no limit to values": (
        "wbxml",
        import_module("gatepost.wire.wbxml.decode")._Decoder,
        "_check_value",
        lambda *_: None,
        "limits",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(monkeypatch, fault):
    name, owner, attribute, wrong, sentence = FAULTS[fault]
    monkeypatch.setattr(owner, attribute, wrong)
    found = run(TARGETS[name], "0", 20_000, enough=1).findings
    assert [sentence in finding.error for finding in found] == [True], found


# -- the command


def test_shares_are_by_weight():
    shares = command.shares(["wbxml", "answer"], 280_000, 2)
    assert shares == [("wbxml", 0, 120_000), ("answer", 0, 20_000), ("wbxml", 1, 120_000), ("answer", 1, 20_000)]


def test_the_command_runs_in_processes_and_says_how_to_have_it_again():
    arguments = ["--inputs", "300", "--seed", "abc", "basic-auth", "forwarded"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert "--seed abc" in done.stdout
    assert "0 findings" in done.stdout.splitlines()[-1]


def test_one_input_can_be_tried_again(tmp_path, capsys):
    sample = tmp_path / "sample"
    sample.write_bytes(b"for=192.0.2.1")
    assert command.main(["forwarded", "--replay", str(sample)]) == 0
    assert capsys.readouterr().out == "accepted\n"
    for wrong in (["nonsense"], ["--replay", str(sample)]):
        with pytest.raises(SystemExit):
            command.main(wrong)


def test_findings_are_told_and_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    finding = loop.Finding("wbxml", b"\x03", "Broken: it", "there")
    assert command._tell([Report("wbxml", "0", 10, findings=[finding, finding])]) == 1
    told = capsys.readouterr().out
    assert "1 findings" in told
    (kept,) = (tmp_path / "build" / "fuzz").iterdir()
    assert kept.read_bytes() == b"\x03"
    assert f"--replay {kept.relative_to(tmp_path)}" in told
    with pytest.raises(Broken):
        promise(False, "it")
