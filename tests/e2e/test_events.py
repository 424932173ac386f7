"""`events`: what happened, chosen, formatted, followed and resumed."""
import json
import os
import re
import time

import pytest

from engines import Engine, eventually, is_watching
from images import SKEP

pytestmark = [pytest.mark.skipif(not os.path.exists(SKEP), reason=f"no {SKEP}"), pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    made = Engine(str(tmp_path_factory.mktemp("engine")))
    made.ok("image", "bootstrap", "busybox")
    yield made
    made.close()
    assert made.remains() == {"runtime": [], "monitors": []}


@pytest.fixture(autouse=True)
def nothing_left(engine):
    yield
    engine.close()


@pytest.fixture
def since():
    return f"{time.time():.9f}"


def told(engine, since, *words):
    return engine.ok("events", "--since", since, "--until", f"{time.time():.9f}", *words)


def test_the_line(engine, since):
    identity = engine.ok("create", "--name", "e1", "-l", "a=b", "busybox", "true").strip()
    line = told(engine, since).strip()
    when, rest = line.split(" ", 1)
    assert rest == f"container create {identity} (a=b, image=busybox, name=e1)"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d)", when)
    zoned = engine.ok("events", "--since", since, "--until", "0s", env={"TZ": "XYZ-5:30"}).split(" ")[0]
    assert zoned.endswith("+05:30") and zoned[14:29] != when[14:29]


def test_json_as_docker_has_it(engine, since):
    identity = engine.ok("create", "--name", "e1", "busybox", "true").strip()
    for words in (["--format", "json"], ["--format", "{{json .}}"]):
        text = told(engine, since, *words)
        assert re.sub(r'"time(Nano)?":\d+', r'"time\1":0', text) == (
            f'{{"status":"create","id":"{identity}","from":"busybox","Type":"container","Action":"create","Actor":{{"ID":"{identity}",'
            '"Attributes":{"image":"busybox","name":"e1"}},"scope":"local","time":0,"timeNano":0}\n')
        seen = json.loads(text)
        assert seen["timeNano"] // 10**9 == seen["time"]
    assert told(engine, since, "--format", "{{.Status}} {{.ID}} {{.From}} {{.Actor.Attributes.name}} {{.Actor.Attributes.nosuch}} {{.Scope}}") == \
        f"create {identity} busybox e1 <no value> local\n"


def test_filters(engine, since):
    engine.ok("run", "--rm", "--name", "f1", "-l", "a=b", "busybox", "true")
    engine.ok("create", "--name", "f2", "busybox", "true")
    engine.run("--name", "f3", "busybox", "sleep", "1000")
    engine.ok("exec", "f3", "true")
    form = ("--format", "{{.Action}} {{.Actor.Attributes.name}}")

    def found(*filters):
        return told(engine, since, *form, *[word for f in filters for word in ("--filter", f)]).splitlines()

    assert found("container=f1") == ["create f1", "attach f1", "start f1", "die f1", "destroy f1"] == found("label=a=b") == found("label=a")
    assert found("event=create") == ["create f1", "create f2", "create f3"]
    assert found("event=start", "event=die") == ["start f1", "die f1", "start f3"]
    assert found("event=start", "container=f3", "container=f2") == ["start f3"]
    assert found("event=exec_start") == ["exec_start: true f3"]
    assert found("image=busybox", "event=die") == ["die f1"] == found("image=busybox:latest", "event=die")[:0] + ["die f1"]
    assert found("type=image") == [] == found("event=nosuch") == found("label=a", "label=nosuch") == found("scope=swarm")
    assert found(f"container={engine.inspect('f2')['Id'][:12]}") == ["create f2"]
    assert engine.fails(1, "events", "--filter", "nosuch=1").strip() == "invalid filter 'nosuch'"


def test_wrong_words(engine):
    assert engine.fails(1, "events", "--since", "nosuch").strip() == 'failed to parse value as time or duration: "nosuch"'
    assert engine.fails(64, "events", "--format", "{{").strip() == "Error parsing format: template: :1: unclosed action"
    assert engine.fails(64, "events", "--format", "{{.Nosuch}}").startswith('Error parsing format: template: :1:2: executing "" at <.Nosuch>: ')
    assert "is no number" in engine.fails(1, "events", "--since", "#x")


def test_images_have_events(engine, since, tmp_path):
    engine.ok("tag", "busybox", "other:1")
    engine.ok("save", "-o", str(tmp_path / "saved"), "other:1")
    engine.ok("rmi", "other:1")
    engine.ok("load", "-i", str(tmp_path / "saved"))
    identity = engine.ok("image", "inspect", "--format", "{{.Id}}", "other:1").strip()
    (tmp_path / "f").write_text("x")
    os.system(f"tar -C {tmp_path} -cf {tmp_path}/t f")
    imported = engine.ok("import", str(tmp_path / "t"), "made").strip()
    engine.ok("rmi", "made", "other:1")
    lines = told(engine, since, "--filter", "type=image", "--format", "{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}}").splitlines()
    assert lines == [f"tag {identity} other:1", f"save {identity} {identity}", f"untag {identity} {identity}", f"load {identity} {identity}",
                     f"import {imported} {imported}", f"untag {imported} {imported}", f"delete {imported} {imported}", f"untag {identity} {identity}"]


def test_following(engine):
    client = engine.start("events", "--filter", "container=w1", "--format", "{{.Action}}")
    eventually(lambda: is_watching(client.pid))
    engine.ok("run", "--rm", "--name", "w1", "busybox", "true")
    assert [client.stdout.readline() for _ in range(5)] == [b"create\n", b"attach\n", b"start\n", b"die\n", b"destroy\n"]
    client.stdout.close()
    assert client.wait(30) == 0


def test_until_ends_it(engine, since):
    engine.ok("create", "--name", "u1", "busybox", "true")
    begun = time.monotonic()
    assert engine.ok("events", "--since", since, "--until=-0.5s", "--format", "{{.Action}}") == "create\n"
    assert time.monotonic() - begun >= 0.5


def test_resuming_misses_nothing(engine, since):
    engine.ok("create", "--name", "r0", "busybox", "true")
    form = ("--format", "{{.Number}} {{.Actor.Attributes.name}}")
    number = told(engine, since, *form).split()[0]
    seen = []
    for i in range(1, 8):
        engine.ok("create", "--name", f"r{i}", "busybox", "true")
        if i % 3:
            continue
        lines = engine.ok("events", "--since", f"#{number}", "--until", f"{time.time():.9f}", *form).splitlines()
        seen += [line.split()[1] for line in lines]
        number = lines[-1].split()[0]
    lines = engine.ok("events", "--since", f"#{number}", "--until", f"{time.time():.9f}", *form).splitlines()
    assert seen + [line.split()[1] for line in lines] == [f"r{i}" for i in range(1, 8)]
    assert engine.ok("events", "--since", f"#{lines[-1].split()[0]}", "--until", f"{time.time():.9f}") == ""


def test_what_is_not_kept_is_told(engine, since):
    """The oldest segments are gone: a reader of before is told."""
    where = os.path.join(engine.root, "events")
    engine.ok("create", "--name", "g1", "busybox", "true")
    first = sorted(os.listdir(where))[0]
    kept = open(os.path.join(where, first), "rb").read()
    begin = int(first, 16) + len(kept)
    os.rename(os.path.join(where, first), os.path.join(where, f"{begin:016x}"))  # the same events, as if so many had been before
    done = engine.call("events", "--since", "#5", "--until", f"{time.time():.9f}", "--format", "{{.Number}}")
    assert done.returncode == 0 and b"are not kept any more" in done.stderr and int(done.stdout.split()[0]) == begin


def test_a_torn_line_is_passed_over(engine, since):
    engine.ok("create", "--name", "t1", "busybox", "true")
    path = os.path.join(engine.root, "events", sorted(os.listdir(os.path.join(engine.root, "events")))[-1])
    with open(path, "ab") as f:
        f.write(b'{"Type":"container","Action":"cre')
    engine.ok("create", "--name", "t2", "busybox", "true")
    assert told(engine, since, "--format", "{{.Actor.Attributes.name}}") == "t1\nt2\n"


# ---- what docker writes ----

def happened(engine, since, kind):
    lines = engine.ok("events", "--since", since, "--until", "0s", "--filter", f"type={kind}", "--format", "{{.Action}} {{json .Actor.Attributes}}")
    return [(action, json.loads(attributes)) for action, _, attributes in (line.partition(" ") for line in lines.splitlines())]


def test_a_life_as_docker_tells_it(engine, since, tmp_path):
    (tmp_path / "x").write_text("x")
    engine.run("--name", "life", "-v", "/anonymous", "-v", "events-v:/v:ro", "busybox", "sleep", "1000")
    identity = engine.inspect("life")["Id"]
    engine.ok("stop", "-t", "0", "life")
    engine.ok("restart", "-t", "0", "life")
    engine.ok("cp", "life:/etc/passwd", "-")
    engine.ok("cp", str(tmp_path / "x"), "life:/x")
    image = engine.ok("commit", "-m", "why", "life", "events:img").strip()
    engine.ok("top", "life")
    engine.ok("kill", "-s", "USR1", "life")
    engine.ok("rm", "-fv", "life")
    engine.ok("volume", "rm", "events-v")
    engine.ok("rmi", "events:img")
    own = {"image": "busybox", "name": "life"}
    told = [(action, {k: v for k, v in attributes.items() if own.get(k) != v}) for action, attributes in happened(engine, since, "container")]
    ran = {"execDuration": "0", "exitCode": "137"}
    assert told == [("create", {}), ("start", {}), ("kill", {"signal": "15"}), ("kill", {"signal": "9"}), ("die", ran), ("stop", {}), ("start", {}),
                    ("restart", {}), ("archive-path", {}), ("extract-to-dir", {}), ("pause", {}),
                    ("unpause", {}), ("commit", {"comment": "why", "imageID": image, "imageRef": "events:img"}), ("top", {}), ("kill", {"signal": "10"}),
                    ("kill", {"signal": "9"}), ("die", told[-2][1]), ("destroy", {})]
    assert told[-2][1].keys() == ran.keys()
    volumes = happened(engine, since, "volume")
    mounted = {"container": identity, "driver": "local", "propagation": ""}
    assert volumes.count(("mount", {**mounted, "destination": "/v", "read/write": "false"})) == 2
    assert volumes.count(("mount", {**mounted, "destination": "/anonymous", "read/write": "true"})) == 2
    assert volumes.count(("unmount", {"container": identity, "driver": "local"})) == 4
    assert [x for x in volumes if "container" not in x[1]] == [("create", {"driver": "local"})] * 2 + [("destroy", {"driver": "local"})] * 2
    assert [x[0] for x in happened(engine, since, "image")] == ["create", "tag", "untag", "delete"]
