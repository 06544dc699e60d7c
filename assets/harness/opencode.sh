#!/bin/sh
# OpenCode, one task: DISPATCH_AGENT_NAME=saffron-opencode sh opencode.sh
# Settings: OPENCODE_MODEL (provider/model).
here=$(dirname "$0")

agent() {
    opencode run --format json --auto ${OPENCODE_MODEL:+-m "$OPENCODE_MODEL"} --dir "$PWD" >"$keep/stream" || return $?
    # There is no event for the end, but there is one for an error.
    jq -e -s 'any(.[]; .type == "error") | not' "$keep/stream" >/dev/null || return 1
    jq -r 'select(.type == "text") | .part.text' "$keep/stream"
}

. "$here/one-task.sh"
one_task
