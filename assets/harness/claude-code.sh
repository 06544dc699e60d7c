#!/bin/sh
# Claude Code, one task: DISPATCH_AGENT_NAME=saffron-claude sh claude-code.sh
# Settings: CLAUDE_MODEL. As root, Claude Code refuses to skip its questions unless IS_SANDBOX=1: run it in a container.
here=$(dirname "$0")

agent() {
    # --strict-mcp-config: a checkout is untrusted, and its .mcp.json would be started without asking.
    claude -p --output-format stream-json --verbose --dangerously-skip-permissions --strict-mcp-config \
        ${CLAUDE_MODEL:+--model "$CLAUDE_MODEL"} >"$keep/stream" || return $?
    # An API failure is `subtype: success` too: is_error is what counts.
    jq -e 'select(.type == "result") | .is_error | not' "$keep/stream" >/dev/null || return 1
    jq -r 'select(.type == "result") | .result' "$keep/stream"
}

. "$here/one-task.sh"
one_task
