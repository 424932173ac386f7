"""What docker and podman do alike: a container's life."""
from daemons import IMAGE
from engine import wait_until
from world import cgroup_file


def test_hello(engine):
    assert engine.run(IMAGE).ok().out == "hello from a skep\n"


def test_exit_codes(engine):
    engine.run(IMAGE, "true").exits(0)
    engine.run(IMAGE, "sh", "-c", "exit 42").exits(42)


def test_a_program_that_does_not_exist_is_127(engine):
    engine.run(IMAGE, "no-such-program").exits(127, "no-such-program")
    engine.run(IMAGE, "/no/such/program").exits(127, "/no/such/program")


def test_a_program_that_cannot_be_run_is_126(engine):
    engine.run(IMAGE, "/etc").exits(126, "permission denied")
    engine.run(IMAGE, "/etc/passwd").exits(126, "permission denied")
