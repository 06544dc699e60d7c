#!/bin/sh
# Gemini CLI, one task: DISPATCH_AGENT_NAME=saffron-gemini sh gemini.sh
# Settings: GEMINI_MODEL. --yolo asks no questions: run it in a container.
here=$(dirname "$0")

agent() {
    # What -p says is appended to standard input.
    gemini -p "Carry out the task described above." --yolo --skip-trust -o stream-json \
        ${GEMINI_MODEL:+-m "$GEMINI_MODEL"} >"$keep/stream" || return $?
    jq -e -s 'any(.[]; .type == "result" and .status == "success")' "$keep/stream" >/dev/null || return 1
    jq -j 'select(.type == "message" and .role == "assistant") | .content' "$keep/stream"
}

. "$here/one-task.sh"
one_task
