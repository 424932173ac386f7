"""Writes the bundles that bench/runtime measures. usage: bundles.py RUNTIME DIRECTORY PROGRAM [PROFILE]

RUNTIME: whose `spec` gives the configuration. PROGRAM: a static program (program.c). PROFILE: docker's seccomp profile as the engines
write it, by capability and architecture; turned into the form of the OCI specification here.
"""
import json
import os
import platform
import shutil
import subprocess
import sys

MANY = 100
ARCHES = {"x86_64": ("amd64", ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]), "aarch64": ("arm64", ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"])}


def applies(rule, arch):
    """Is a rule of the profile one for this architecture and a container without added capabilities?"""
    only, but = rule.get("includes") or {}, rule.get("excludes") or {}
    return not only.get("caps") and arch in only.get("arches", [arch]) and arch not in but.get("arches", [])


def oci_seccomp(path):
    with open(path, encoding="utf-8") as f:
        profile = json.load(f)
    arch, architectures = ARCHES[platform.machine()]
    rules = []
    for rule in profile["syscalls"]:
        if not applies(rule, arch):
            continue
        out = {"names": rule["names"], "action": rule["action"]}
        if rule.get("args"):
            out["args"] = [{key: a.get(key, 0) for key in ("index", "value", "valueTwo", "op")} for a in rule["args"]]
        if rule.get("errnoRet"):
            out["errnoRet"] = rule["errnoRet"]
        rules.append(out)
    return {"defaultAction": profile["defaultAction"], "defaultErrnoRet": 1, "architectures": architectures, "syscalls": rules}


def main():
    runtime, top, program = sys.argv[1:4]
    rootfs = os.path.join(top, "rootfs")
    for name in ("proc", "dev", "sys", "etc"):
        os.makedirs(os.path.join(rootfs, name), exist_ok=True)
    for name in ("true", "pause"):
        shutil.copy(program, os.path.join(rootfs, name))
    os.makedirs(os.path.join(top, "spec"), exist_ok=True)
    subprocess.run([runtime, "spec"], cwd=os.path.join(top, "spec"), check=True)
    with open(os.path.join(top, "spec", "config.json"), encoding="utf-8") as f:
        base = json.load(f)
    base["process"].update(terminal=False, args=["/true"])
    base["root"] = {"path": rootfs, "readonly": False}

    def write(name, change=lambda spec: None, cgroup=None):
        spec = json.loads(json.dumps(base))
        spec["linux"]["cgroupsPath"] = "/skep-bench/" + (cgroup or name)
        change(spec)
        os.makedirs(os.path.join(top, name), exist_ok=True)
        with open(os.path.join(top, name, "config.json"), "w", encoding="utf-8") as f:
            json.dump(spec, f, indent=2)

    def pause(spec):
        spec["process"]["args"] = ["/pause"]

    def host_network(spec):
        spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "network"]

    write("true")
    write("pause", pause)
    write("hostnet", host_network)
    for i in range(MANY):
        write(f"many{i}", cgroup=f"many{i}")
    for name in ("skep", "crun", "runc"):
        write(f"keep-{name}", pause)
    if len(sys.argv) > 4:
        seccomp = oci_seccomp(sys.argv[4])
        write("seccomp", lambda spec: spec["linux"].update(seccomp=seccomp))


main()
