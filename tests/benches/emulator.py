#!/usr/bin/env python3
"""Cold start of every function as it is deployed, in AWS's Runtime Interface Emulator.

Each package is unpacked and its `bootstrap` started by the emulator, which is given one sample event: how long the
emulator says that init took, how long the caller waited for the answer (init and the first invocation), the program's
peak memory by then, and sizes. Beside it stands a table in which there is nothing, so it finds nothing to do.

    infra/package                                        # makes the packages
    SLUICE_RIE=aws-lambda-rie python3 tests/benches/emulator.py
    SLUICE_RIE=aws-lambda-rie python3 tests/benches/emulator.py --programs target/debug sweeper
"""

import argparse
import contextlib
import http.client
import http.server
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from pathlib import Path

from startup import FUNCTIONS, KUBECONFIG, PATIENCE_S, ROOT, peak_mib

# The event of each function; of those with several front doors the one that the module makes.
EVENTS = {
    "notification-receiver": "apigw-http-v2",
    "run-task-receiver": "apigw-http-v2",
    "context-api": "apigw-http-v2",
    "state-indexer": "two-runs",
    "run-creator": "create",
    "task-runner": "check",
    "run-task-relay": "relay",
    "job-runner": "job",
    "sweeper": "schedule",
}

# What each has to answer, or it was not measured at what it is for: there is no such task, and no such run.
STATUS = {"notification-receiver": 202, "run-task-receiver": 404, "context-api": 404}

# The keys that the events are signed with.
SETTINGS = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "example",
    "WORKSPACE_DEPENDENCIES_TABLE": "sluice",
    "API_TOKEN": "example",
    "NOTIFICATION_TOKEN": "demo-token",
    "SLUICE_DIGEST_KEY": "example",
    "SLUICE_GATE_KEY": "demo-gate-key",
    "SLUICE_OPERATOR_TOKEN": "demo-operator-token",
    "SLUICE_KUBECONFIG": str(KUBECONFIG),
    "AWS_LAMBDA_FUNCTION_NAME": "sluice",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
}

INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")


class EmptyTable(http.server.BaseHTTPRequestHandler):
    """A table without items: nothing is found, and nothing is as a condition wants it."""

    protocol_version = "HTTP/1.1"
    # An answer is one packet, or its second one waits for the first to be acknowledged.
    wbufsize = -1

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["X-Amz-Target"].endswith(".UpdateItem"):
            status, answer = 400, {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}
        else:
            status, answer = 200, {"Items": [], "Count": 0, "ScannedCount": 0}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def until(what, found):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if (result := found()) is not None:
            return result
        time.sleep(0.001)
    sys.exit(f"{what} within {PATIENCE_S} s")


def connected(port):
    with contextlib.suppress(ConnectionRefusedError):
        return socket.create_connection(("127.0.0.1", port))
    return None


def program_of(emulator, bootstrap):
    """The process id of the program that the emulator has started."""
    for children in Path(f"/proc/{emulator}/task").glob("*/children"):
        for pid in children.read_text(encoding="utf-8").split():
            if os.path.realpath(f"/proc/{pid}/exe") == os.path.realpath(bootstrap):
                return pid
    return None


def invoke(port, event):
    """The answer as it came, and the milliseconds that it took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    began = time.perf_counter()
    connection.request("POST", "/2015-03-31/functions/function/invocations", event)
    answer = connection.getresponse().read()
    return answer, (time.perf_counter() - began) * 1000


def is_right(function, answer):
    """Whether this is what the function has to say of its event."""
    try:
        said = json.loads(answer)
    except ValueError:
        return False
    if function in STATUS:
        return said["statusCode"] == STATUS[function]
    return said in (None, {"batchItemFailures": []})


def start(emulator, function, bootstrap, event, table):
    """Starts a function cold: (milliseconds of init, milliseconds until it has answered, its peak memory in MiB)."""
    front, api = free_port(), free_port()
    command = [emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{front}"]
    command += ["--runtime-api-address", f"127.0.0.1:{api}", str(bootstrap)]
    env = {**SETTINGS, "AWS_ENDPOINT_URL_DYNAMODB": table, "PATH": os.environ.get("PATH", "")}
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(command, env=env, stdout=log, stderr=log) as process:
            try:
                # The functions start faster than it opens the second one.
                for port in (front, api):
                    until(f"{emulator} does not listen", lambda: connected(port)).close()
                answer, answered_ms = invoke(front, event)
                program = program_of(process.pid, bootstrap)
                peak = peak_mib(program) if program else 0
            finally:
                process.kill()
        log.seek(0)
        told = log.read().decode()
    if not is_right(function, answer):
        sys.exit(f"{function} answers {answer!r}\n{told}")
    return float(INIT.search(told)[1]), answered_ms, peak


def unpacked(function, options, scratch):
    """A function's program, and the size of its package in bytes."""
    if options.programs:
        program = options.programs.resolve() / function
        return program, len(zlib.compress(program.read_bytes(), 9))
    package = options.packages / f"{function}.zip"
    if not package.exists():
        sys.exit(f"there is no {package}: infra/package makes it")
    directory = scratch / function
    with zipfile.ZipFile(package) as archive:
        archive.extract("bootstrap", directory)
    (directory / "bootstrap").chmod(0o755)
    return directory / "bootstrap", package.stat().st_size


def measure(emulator, programs, runs, table):
    """Starts all in turn, `runs` times, after one round that only warms the caches."""
    found = {function: [] for function in programs}
    for turn in range(runs + 1):
        for function, (bootstrap, _) in programs.items():
            event = (ROOT / "events" / function / f"{EVENTS[function]}.json").read_bytes()
            result = start(emulator, function, bootstrap, event, table)
            if turn > 0:
                found[function].append(result)
    return found


def report(found, programs):
    heads = ["init ms", "min", "answer ms", "min", "peak MiB", "binary MB", "zip MB"]
    print(" " * 22 + "".join(f"{head:>10}" for head in heads))
    for function, results in found.items():
        inits, answers, peaks = zip(*results)
        bootstrap, package = programs[function]
        times = (statistics.median(inits), min(inits), statistics.median(answers), min(answers))
        cells = [f"{value:.1f}" for value in (*times, statistics.median(peaks))]
        cells.append(f"{bootstrap.stat().st_size / 1e6:.2f}")
        cells.append(f"{package / 1e6:.2f}")
        print(f"{function:22}" + "".join(f"{cell:>10}" for cell in cells))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("functions", nargs="*", metavar="FUNCTION", help="which (default all)")
    parser.add_argument("--runs", type=int, default=11, help="starts of each program (default 11)")
    packages = ROOT / "target" / "packages" / platform.machine().replace("aarch64", "arm64")
    parser.add_argument("--packages", type=Path, default=packages, help="directory of zips (default %(default)s)")
    parser.add_argument("--programs", type=Path, help="directory of programs instead, by their functions' names")
    options = parser.parse_args()
    emulator = os.environ.get("SLUICE_RIE") or parser.error("SLUICE_RIE does not name the emulator")
    functions = options.functions or FUNCTIONS
    if unknown := set(functions) - set(FUNCTIONS):
        parser.error(f"no such function: {', '.join(sorted(unknown))}")

    table = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyTable)
    threading.Thread(target=table.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as scratch:
        programs = {function: unpacked(function, options, Path(scratch)) for function in functions}
        endpoint = "http://127.0.0.1:%d" % table.server_address[1]
        found = measure(emulator, programs, options.runs, endpoint)
        load = os.getloadavg()[0]
        print(f"{options.runs} cold starts each, in turn; load {load:.1f} on {os.cpu_count()} cores")
        report(found, programs)
    table.shutdown()


if __name__ == "__main__":
    main()
