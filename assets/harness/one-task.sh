# The one-task loop that the examples beside this file share. Needs `dispatch`, jq and git; with a repository on GitHub also
# gh, whose login stays with this script: the agent gets none. Sourced by a script that defines
#
#   here     this directory
#   agent    reads a prompt from standard input, works in the current directory, prints its last message
#
# and then calls `one_task`. Run it in a checkout of the repository. DISPATCH_AGENT_NAME names the worker; DISPATCH_WAIT
# (30s) is how long to wait for work. Exit 0: reported; 3: nothing to do, no model was started; else not done.

one_task() {
    : "${DISPATCH_AGENT_NAME:?set it to a name that this worker keeps, such as saffron-local}"
    set -eu
    keep=$(mktemp -d)
    keeper=
    trap 'if [ -n "$keeper" ]; then kill "$keeper" 2>/dev/null || :; fi; rm -rf "$keep"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    # 1. Take one task, already written down as a prompt. Nothing to do is exit code 3.
    dispatch next --wait "${DISPATCH_WAIT:-30s}" --prompt --save "$keep/task.json" >"$keep/prompt.md" || exit $?
    field() { jq -r "$1 // empty" "$keep/task.json"; }
    branch=$(field .branch) base=$(field .baseBranch)

    # 2. Keep the lease while working.
    every=$(field .claim.renewEverySeconds)
    (
        nap=
        trap 'kill "$nap" 2>/dev/null; exit 0' TERM
        while :; do
            sleep "${every:-300}" &
            nap=$!
            wait "$nap"
            dispatch heartbeat || :
        done
    ) >/dev/null 2>&1 &
    keeper=$!

    # 3. Work, on the task's branch.
    if [ -n "$branch" ]; then
        git switch -q "$branch" 2>/dev/null || git switch -q -c "$branch" ${base:+"$base"}
    fi
    if agent <"$keep/prompt.md" >"$keep/said"; then :; else
        printf '\nFAILED: the agent ended with exit code %s\n' $? >>"$keep/said"
    fi

    # 4. Check the last words against the task, publish, report. A report that says DONE is checked against the forge.
    if dispatch guard --task "$keep/task.json" --json <"$keep/said" >"$keep/verdict.json"; then publish; fi
    dispatch guard --task "$keep/task.json" --report <"$keep/said"
}

# Only now, and here: the agent has no login to publish with.
publish() {
    case $(jq -r .outcome "$keep/verdict.json") in pr_opened | pr_updated) ;; *) return 0 ;; esac
    sh "$here/open-pull.sh" "$branch" "$base" "$(field .issue.number)" "$(field .issue.title)"
}
