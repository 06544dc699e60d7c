#!/bin/sh
# Codex, one task: DISPATCH_AGENT_NAME=saffron-codex sh codex.sh
# Settings: CODEX_MODEL. The flag below switches Codex's own sandbox off: run it in a container.
here=$(dirname "$0")

agent() {
    codex exec --json --dangerously-bypass-approvals-and-sandbox -C "$PWD" ${CODEX_MODEL:+-m "$CODEX_MODEL"} \
        -o "$keep/last" - >"$keep/stream" || return $?
    jq -e -s 'any(.[]; .type == "turn.completed")' "$keep/stream" >/dev/null || return 1
    cat "$keep/last"
}

. "$here/one-task.sh"
one_task
