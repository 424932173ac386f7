"""The command line of skep: what its users see before any command runs, version and info."""
import json
import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="module")
def skep():
    runtime = os.environ.get("RUNTIME", "")
    program = os.path.join(os.path.dirname(runtime) or os.path.join(HERE, "../../build"), "skep")
    if not os.path.exists(program):
        pytest.skip(f"no {program}")

    def run(*args, name="skep", env=None):
        return subprocess.run([name, *args], executable=program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30,
                              env={**os.environ, **(env or {})}, check=False)
    return run


def test_version(skep):
    out = skep("--version").stdout
    assert out.startswith("skep version ") and ", build " in out
    assert skep("-v", name="docker").stdout.startswith("Docker version ")
    client = json.loads(skep("version", "--format", "json").stdout)["Client"]
    assert client["Os"] == "linux" and client["KernelVersion"] == os.uname().release
    assert skep("version", "-f", "{{.Client.Version}}").stdout.strip() == client["Version"]
    assert f" Version:           {client['Version']}\n" in skep("version").stdout


def test_info(skep):
    info = json.loads(skep("info", "--format", "{{json .}}").stdout)
    assert info["NCPU"] == os.cpu_count() or info["NCPU"] > 0
    assert info["KernelVersion"] == os.uname().release and info["KernelFeatures"]["Openat2"] is True
    again = json.loads(skep("system", "info", "--format=json").stdout)
    assert {**info, "SystemTime": ""} == {**again, "SystemTime": ""}
    assert f"Kernel Version: {os.uname().release}\n" in skep("info").stdout


def test_directories(skep, tmp_path):
    info = json.loads(skep("--root", str(tmp_path / "r"), "--run-root=/x", "info", "--format", "json").stdout)
    assert info["DockerRootDir"] == str(tmp_path / "r") and info["RunRoot"] == "/x"


@pytest.mark.parametrize("args, status, reason", [
    (["--foo"], 125, "unknown flag: --foo\n\nUsage:  skep [OPTIONS] COMMAND [ARG...]\n\nRun 'skep --help' for more information\n"),
    (["version", "-z"], 125, "unknown shorthand flag: 'z' in -z\n\nUsage:  skep version [OPTIONS]\n\nRun 'skep version --help' for more information\n"),
    (["version", "x"], 1, "skep: 'skep version' accepts no arguments\n\nUsage:  skep version [OPTIONS]\n\n"
                          "Run 'skep version --help' for more information\n"),
    (["versionx"], 1, "skep: unknown command: skep versionx\n\nDid you mean this?\n\tversion\n\nRun 'skep --help' for more information\n"),
    (["version", "--format", "{{.Foo"], 64, "template parsing error: template: :1: unclosed action\n"),
    (["-l", "foo", "version"], 1, "Unable to parse logging level: foo\n"),
])
def test_what_is_wrong(skep, args, status, reason):
    result = skep(*args)
    assert (result.returncode, result.stdout, result.stderr) == (status, "", reason)


def test_help(skep):
    out = skep("--help").stdout
    assert out.startswith("Usage:  skep [OPTIONS] COMMAND\n") and "\nCommon Commands:\n" in out
    assert skep().stdout == out
    assert skep("imagine", name="docker").stderr.startswith("docker: unknown command: docker imagine")
    for line in out.splitlines():
        assert len(line) <= 80


def test_generated(skep):
    for kind in "man", "bash", "zsh", "fish":
        assert "version" in skep("generate", kind).stdout
    bash = subprocess.run(["bash", "-c", skep("generate", "bash").stdout + '\nCOMP_WORDS=(skep system in); COMP_CWORD=2; _skep; echo "${COMPREPLY[@]}"'],
                          stdout=subprocess.PIPE, text=True, check=True)
    assert bash.stdout == "info\n"
