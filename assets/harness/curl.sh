#!/bin/sh
# A harness in one file: ask for one task, stop if there is none, work, report, stop. Needs curl, jq and git, no Dispatch
# program. Run it from cron or a loop; start your agent where WORK stands.
#
#   DISPATCH_AGENT_NAME=my-agent sh curl.sh COMMAND…
#
# COMMAND runs in the repository's directory on a fresh branch and reads the task as JSON from standard input. Exit 0: it
# committed, and open-pull.sh beside this file publishes; anything else: it failed. A file BLOCKED.md says what a person
# has to answer.
set -eu

agent=${DISPATCH_AGENT_NAME:?set DISPATCH_AGENT_NAME to the name this harness works under}
socket=${DISPATCH_SOCKET:-${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/dispatch/v1.sock}
case ${DISPATCH_URL:-} in unix://*) socket=${DISPATCH_URL#unix://} DISPATCH_URL= ;; esac

# With DISPATCH_URL=https://… the same calls go over TCP; the token travels in a header read from a file descriptor, so
# that it does not show in the list of processes.
api() { # METHOD PATH [JSON]
    method=$1 path=$2 body=${3:-'{}'}
    if [ -n "${DISPATCH_URL:-}" ]; then
        printf 'header = "Authorization: Bearer %s"\n' "${DISPATCH_WORKER_TOKEN:?}" |
            curl -fsS -K - -X "$method" -d "$body" "${DISPATCH_URL%/}$path"
    else
        curl -fsS --unix-socket "$socket" -X "$method" -d "$body" "http://dispatch$path"
    fi
}

# 1. Take one task. The call selects and claims in one step, so two harnesses never get the same.
task=$(api POST "/api/agents/$agent/next-task?wait=${DISPATCH_WAIT:-30s}")
if [ "$(printf %s "$task" | jq -r .shouldRun)" != true ]; then
    printf 'idle: %s\n' "$(printf %s "$task" | jq -r '.reason // "nothing to do"')"
    exit 3
fi
field() { printf %s "$task" | jq -r "$1 // empty"; }
branch=$(field .branch)
printf 'task: %s#%s %s\n' "$(field .issue.repoFullName)" "$(field .issue.number)" "$(field .issue.title)"

# 2. Keep the lease while working. Ends with this script.
every=$(field .claim.renewEverySeconds)
(
    nap=
    trap 'kill "$nap" 2>/dev/null; exit 0' TERM
    while :; do
        sleep "${every:-300}" &
        nap=$!
        wait "$nap"
        api POST "/api/agents/$agent/heartbeat" || :
    done
) >/dev/null 2>&1 &
keeper=$!
trap 'kill "$keeper" 2>/dev/null || :' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# 3. WORK.
rm -f BLOCKED.md
git switch -q "$branch" 2>/dev/null || git switch -q -c "$branch" "$(field .baseBranch)"
if printf %s "$task" | "$@"; then outcome=pr_opened; else outcome=failed; fi
note="$1 ended"
if [ -s BLOCKED.md ]; then
    outcome=blocked
    note=$(cat BLOCKED.md)
fi

if [ "$outcome" = pr_opened ]; then
    sh "$(dirname "$0")/open-pull.sh" "$branch" "$(field .baseBranch)" "$(field .issue.number)" "$(field .issue.title)" ||
        { outcome=failed note="the branch could not be published"; }
fi

[ "$(field .type)" = followup-pr ] && [ "$outcome" = pr_opened ] && outcome=pr_updated

# 4. Report once; the key makes a repeat harmless. Then stop: the next task is for the next start.
report=$(printf %s "$task" | jq -c --arg outcome "$outcome" --arg note "$note" '{
    taskType: .type, outcome: $outcome, issueId: .issue.id, claimId: .claim.id,
    idempotencyKey: "\(.taskId // .claim.id)-\($outcome)",
    (if $outcome == "pr_opened" or $outcome == "pr_updated" then "summary" else "error" end): $note
}')
api POST "/api/agents/$agent/tasks/report" "$report" | jq -r '"reported: \(.report.status)"'
