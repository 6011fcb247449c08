#!/usr/bin/env python3
"""Cold start of every function: process start to first poll of the Runtime API, memory, and size.

Each function's program is started against a stub of the Runtime API, in turn with a peer: a Python handler that has
boto3 make a DynamoDB client. Nothing is sent to AWS: credentials are made up, and the first poll comes before any call.

    python3 tests/benches/startup.py            # builds with --profile lambda, 21 runs each
    python3 tests/benches/startup.py sweeper    # this one only
    python3 tests/benches/startup.py --check    # fails where a budget of the design is exceeded
"""

import argparse
import contextlib
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = [
    "notification-receiver",
    "state-indexer",
    "run-creator",
    "run-task-receiver",
    "task-runner",
    "run-task-relay",
    "job-runner",
    "context-api",
    "sweeper",
]
PEER = "Python + boto3"

# The budgets: what must hold, and what is aimed at.
START_MS = (7.0, 4.0)
SIZE_MB = (8.0, 5.5)
# One carries the engine that evaluates policies, which is as large as all the rest of it; the other Kubernetes' client
# and its types.
OWN_SIZE_MB = {"task-runner": 12.0, "job-runner": 12.0}

PATIENCE_S = 30

# A cluster that nobody asks anything.
KUBECONFIG = ROOT / "tests" / "benches" / "kubeconfig.json"

# What the managed runtime does first: load the handler, then poll. Its own HTTP client is native; http.client is close.
PEER_PROGRAM = """
import http.client, os
import boto3
table = boto3.client("dynamodb")
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
api.request("GET", "/2018-06-01/runtime/invocation/next")
api.getresponse()
"""


def environment(api):
    """What Lambda and a deployment set, with credentials that are nobody's."""
    return {
        "AWS_LAMBDA_RUNTIME_API": api,
        "AWS_LAMBDA_FUNCTION_NAME": "sluice",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_SESSION_TOKEN": "example",
        "AWS_EC2_METADATA_DISABLED": "true",
        "WORKSPACE_DEPENDENCIES_TABLE": "sluice",
        "API_TOKEN": "example",
        "NOTIFICATION_TOKEN": "example",
        "SLUICE_DIGEST_KEY": "example",
        "SLUICE_GATE_KEY": "example",
        "SLUICE_KUBECONFIG": str(KUBECONFIG),
        "PATH": os.environ.get("PATH", ""),
    }


def build(functions, profile):
    """The functions' programs by name, as cargo says where it put them."""
    command = [os.environ.get("CARGO", "cargo"), "build", "--locked", "--profile", profile, "--message-format=json"]
    for name in functions:
        command += ["-p", f"sluice-{name}"]
    told = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    artifacts = (json.loads(line) for line in told.splitlines() if line.startswith("{"))
    programs = {a["target"]["name"]: Path(a["executable"]) for a in artifacts if a.get("executable")}
    return {name: programs[name] for name in functions}


def python_with_boto3(scratch):
    """An interpreter that can import boto3, or None: this one, or a new one in `scratch`."""

    def imports(python):
        return subprocess.run([python, "-c", "import boto3"], stderr=subprocess.DEVNULL, check=False).returncode == 0

    if imports(sys.executable):
        return sys.executable
    try:
        subprocess.run([sys.executable, "-m", "venv", scratch], check=True, stdout=subprocess.DEVNULL)
        python = str(Path(scratch) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "boto3"], check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return python if imports(python) else None


def start(listener, command):
    """Starts a program: (milliseconds to its first poll, its peak memory in MiB, milliseconds of CPU), all by then."""
    env = environment("127.0.0.1:%d" % listener.getsockname()[1])
    silence = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, env, file_actions=silence)
    with contextlib.ExitStack() as connections:
        try:
            connection = connections.enter_context(listener.accept()[0])
            connection.settimeout(PATIENCE_S)
            request = connection.recv(65536)
            took_ms = (time.perf_counter() - began) * 1000
            if not request.startswith(b"GET /2018-06-01/runtime/invocation/next "):
                sys.exit(f"{command[0]} did not poll but said: {request[:600]!r}")
            return took_ms, peak_mib(pid), cpu_ms(pid)
        except TimeoutError:
            sys.exit(f"{command[0]} did not poll within {PATIENCE_S} s")
        finally:
            # Before the connection is closed, of which the program would complain.
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def peak_mib(pid):
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def cpu_ms(pid):
    """Nanosecond-exact, unlike the ticks in `stat`, and hardly disturbed by whatever else the machine does."""
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="utf-8").split()[0]) / 1e6


def measure(commands, runs):
    """Starts all in turn, `runs` times, after one round that only warms the caches."""
    found = {name: [] for name in commands}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        for turn in range(runs + 1):
            for name, command in commands.items():
                result = start(listener, command)
                if turn > 0:
                    found[name].append(result)
    return found


def report(found, programs):
    """Prints a table, and returns what exceeds a budget that must hold."""
    exceeded = []
    heads = ["start ms", "min", "max", "CPU ms", "peak MiB", "binary MB", "zip MB", "start", "peak"]
    print(" " * 22 + "".join(f"{head:>10}" for head in heads))
    for name, results in found.items():
        starts, peaks, cpus = zip(*results)
        took = statistics.median(starts)
        cells = [f"{value:.2f}" for value in (took, min(starts), max(starts), statistics.median(cpus))]
        cells.append(f"{statistics.median(peaks):.1f}")
        if name in programs:
            content = programs[name].read_bytes()
            size, packed = len(content) / 1e6, len(zlib.compress(content, 9)) / 1e6
            cells += [f"{size:.2f}", f"{packed:.2f}"]
            if took >= START_MS[0]:
                exceeded.append(f"{name} takes {took:.2f} ms to start, more than {START_MS[0]:g} ms")
            most = OWN_SIZE_MB.get(name, SIZE_MB[0])
            if size > most:
                exceeded.append(f"{name} has {size:.2f} MB, more than {most:g} MB")
            cells += [f"{ratio:.{digits}f}x" for digits, ratio in enumerate(ratios(results, found.get(PEER)))]
        print(f"{name:22}" + "".join(f"{cell:>10}" for cell in cells))
    print(f"must: under {START_MS[0]:g} ms, {SIZE_MB[0]:g} MB; aim: {START_MS[1]:g} ms, {SIZE_MB[1]:g} MB")
    print("start and peak at the right: how many times as much the peer took, median of the turns")
    return exceeded


def ratios(results, peer):
    """How many times as much the peer took, in time and in memory: side by side, so that a busy machine cancels out."""
    if not peer:
        return []
    return [statistics.median(theirs[i] / ours[i] for theirs, ours in zip(peer, results)) for i in (0, 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("functions", nargs="*", metavar="FUNCTION", help="which (default all)")
    parser.add_argument("--runs", type=int, default=21, help="starts of each program (default 21)")
    parser.add_argument("--profile", default="lambda", help="cargo profile to build with (default lambda)")
    parser.add_argument("--programs", type=Path, help="directory of programs that are built already")
    parser.add_argument("--check", action="store_true", help="fail where a budget is exceeded")
    options = parser.parse_args()

    functions = options.functions or FUNCTIONS
    if unknown := set(functions) - set(FUNCTIONS):
        parser.error(f"no such function: {', '.join(sorted(unknown))}")
    if options.programs:
        programs = {name: options.programs / name for name in functions}
    else:
        programs = build(functions, options.profile)
    commands = {name: [str(program)] for name, program in programs.items()}
    with tempfile.TemporaryDirectory() as scratch:
        python = python_with_boto3(scratch)
        if python:
            commands[PEER] = [python, "-c", PEER_PROGRAM]
        else:
            print("no peer: boto3 can be neither imported nor installed")
        found = measure(commands, options.runs)
    load = os.getloadavg()[0]
    machine = f"load {load:.1f} on {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{options.runs} starts each, in turn; {machine}")
    exceeded = report(found, programs)
    for line in exceeded:
        print(line, file=sys.stderr)
    sys.exit(1 if options.check and exceeded else 0)


if __name__ == "__main__":
    main()
