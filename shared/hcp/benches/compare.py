#!/usr/bin/env python3
"""Times whole processes that read a state file: the scanner, Python's json.loads, and reading alone.

usage: compare.py [MEGABYTES] [ROUNDS]

The processes run in turn, so that whatever else the machine does meets all of them; ratios are medians of pairs.
Memory is the peak that each process read of itself (VmHWM, so Linux): what wait4 tells starts at the peak of the
process that started it, which is several times what the scanner needs.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent

# What a Lambda in Python does: load the whole file, then walk it.
PYTHON = """
import json, sys
with open(sys.argv[1]) as file:
    state = json.loads(file.read())
found = []
for resource in state["resources"]:
    if resource["mode"] != "data":
        continue
    for instance in resource["instances"]:
        attributes = instance["attributes"]
        if resource["type"] == "terraform_remote_state":
            config = attributes["config"]["value"]
            found.append((config["organization"], config["workspaces"].get("name")))
        elif resource["type"] == "tfe_outputs":
            found.append((attributes["organization"], attributes["workspace"]))
peak = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(len(found), "references, peak", *peak, "KiB")
"""


def build():
    """Builds the examples and says where they are."""
    cargo = ["cargo", "build", "--release", "-p", "sluice-hcp", "--examples"]
    subprocess.run(cargo, cwd=PACKAGE, check=True)
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    metadata = subprocess.run(command, cwd=PACKAGE, check=True, stdout=subprocess.PIPE)
    return Path(json.loads(metadata.stdout)["target_directory"]) / "release" / "examples"


def run(command):
    """Runs a command: its seconds, and what it says."""
    start = time.perf_counter()
    child = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    if child.returncode != 0:
        sys.exit(f"{command[0]} failed: {child.stdout}")
    return seconds, child.stdout.strip()


def peak_mib(said):
    """The peak that a process told in its last words: `…, peak 2048 KiB`."""
    return int(said.split()[-2]) / 1024


def main():
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    examples = build()
    scan = str(examples / "scan_state")
    with tempfile.TemporaryDirectory() as folder:
        state = str(Path(folder) / "state.tfstate")
        print(run([str(examples / "generate_state"), str(megabytes), state])[1])
        ways = {
            "scan": [scan, state],
            "python": [sys.executable, "-c", PYTHON, state],
            "read": [scan, "--read-only", state],
        }
        for command in ways.values():
            run(command)
        taken = {way: [] for way in ways}
        for _ in range(rounds):
            for way, command in ways.items():
                taken[way].append(run(command))
    report(taken)


def report(taken):
    """Prints the medians, and stops if the scanner and Python disagree."""
    for way, runs in taken.items():
        seconds = statistics.median(run[0] for run in runs)
        print(f"{way:8} {seconds * 1000:10.1f} ms {max(peak_mib(run[1]) for run in runs):10.1f} MiB")
    pairs = lambda one, other: statistics.median(a[0] / b[0] for a, b in zip(taken[one], taken[other]))
    print(f"scan is {pairs('python', 'scan'):.1f} times as fast as python")
    print(f"scan takes {pairs('scan', 'read'):.2f} times as long as reading the file")
    counts = {way: {run[1].split()[0] for run in taken[way]} for way in ("scan", "python")}
    if counts["scan"] != counts["python"]:
        sys.exit(f"they found different numbers of references: {counts}")
    print(f"both found {counts['scan'].pop()} references")


if __name__ == "__main__":
    main()
