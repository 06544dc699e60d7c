#!/usr/bin/env python3
"""A harness in one file of Python: ask for one task, stop if there is none, work, report, stop. Standard library only,
and open-pull.sh for publishing.

    DISPATCH_AGENT_NAME=saffron-py python3 worker.py COMMAND...

COMMAND runs in the current directory, a checkout of the repository, on the task's branch, and reads the task as JSON from
standard input. Exit code 0: it committed, and open-pull.sh beside this file publishes; anything else: it failed. A file
BLOCKED.md says what a person has to answer.
Exit code of this program: 0 reported, 3 nothing to do, 1 not done.

DISPATCH_URL (with DISPATCH_WORKER_TOKEN) names a daemon elsewhere; without it the local socket is used.
"""

import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import urllib.parse


class Local(http.client.HTTPConnection):
    """HTTP over the daemon's socket."""

    def __init__(self, path):
        super().__init__("dispatch", timeout=90)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def connection():
    url = os.environ.get("DISPATCH_URL", "")
    if url and not url.startswith("unix://"):
        parts = urllib.parse.urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname, parts.port, timeout=90)
    default = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}") + "/dispatch/v1.sock"
    return Local(url.removeprefix("unix://") or os.environ.get("DISPATCH_SOCKET", default))


def api(method, path, body=None):
    """One call; raises RuntimeError with the daemon's own sentence if it says no."""
    headers = {"Content-Type": "application/json"}
    token = os.environ.get("DISPATCH_WORKER_TOKEN") or os.environ.get("DISPATCH_AGENT_TOKEN")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    link = connection()
    try:
        link.request(method, path, json.dumps(body or {}), headers)
        answer = link.getresponse()
        value = json.loads(answer.read() or b"{}")
    finally:
        link.close()
    if answer.status >= 300:
        raise RuntimeError(value.get("error", f"status {answer.status}"))
    return value


def keep_lease(agent, claim, done):
    """Renews until the work is done; a refusal is for the report to hear."""
    while not done.wait(claim.get("renewEverySeconds", 300)):
        try:
            api("POST", f"/api/agents/{agent}/heartbeat", {"claimId": claim["id"]})
        except (OSError, RuntimeError) as error:
            print(f"heartbeat: {error}", file=sys.stderr)


def work(task, command):
    """Runs the command on the task's branch; says the outcome and a note."""
    blocked = pathlib.Path("BLOCKED.md")
    blocked.unlink(missing_ok=True)
    branch, base = task.get("branch"), task.get("baseBranch")
    if branch and subprocess.run(["git", "switch", "-q", branch], stderr=subprocess.DEVNULL).returncode:
        subprocess.run(["git", "switch", "-q", "-c", branch] + ([base] if base else []), check=True)
    code = subprocess.run(command, input=json.dumps(task).encode()).returncode
    if blocked.exists() and blocked.read_text().strip():
        return "blocked", blocked.read_text().strip()
    if code:
        return "failed", f"{command[0]} ended with exit code {code}"
    if task["type"] == "groom":
        return "issue_updated", f"{command[0]} ended"
    issue = task.get("issue", {})
    publish = pathlib.Path(__file__).with_name("open-pull.sh")
    subprocess.run(["sh", publish, branch, base, str(issue.get("number", 0)), issue.get("title", branch)], check=True)
    return "pr_updated" if task["type"] == "followup-pr" else "pr_opened", f"{command[0]} ended"


def main():
    agent, command = os.environ.get("DISPATCH_AGENT_NAME"), sys.argv[1:]
    if not agent or not command:
        sys.exit(__doc__)
    task = api("POST", f"/api/agents/{agent}/next-task?wait={os.environ.get('DISPATCH_WAIT', '30s')}")
    if not task["shouldRun"]:
        print(f"idle: {task.get('reason', 'nothing to do')}")
        return 3
    claim, done = task["claim"], threading.Event()
    threading.Thread(target=keep_lease, args=(agent, claim, done), daemon=True).start()
    try:
        outcome, note = work(task, command)
    except (OSError, subprocess.CalledProcessError) as error:
        outcome, note = "failed", str(error)
    finally:
        done.set()
    report = {
        "taskType": task["type"],
        "outcome": outcome,
        "claimId": claim["id"],
        "idempotencyKey": f"{claim['id']}-{outcome}",
        "error" if outcome in ("failed", "blocked") else "summary": note,
    }
    for name, value in (("issueId", task.get("issue", {}).get("id")), ("prFixItem", task.get("prFixItem"))):
        if value:
            report[name] = value
    print("reported:", api("POST", f"/api/agents/{agent}/tasks/report", report)["report"]["status"])
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, RuntimeError) as error:
        sys.exit(f"dispatch: {error}")
