#!/bin/sh
# OpenClaw, one task: DISPATCH_AGENT_NAME=saffron-claw sh openclaw.sh
# Settings: OPENCLAW_AGENT (main), the agent that takes the turn; its workspace has to be this checkout. To let OpenClaw's
# own scheduler start it instead of cron, have a job run this script. Not run by our tests against the real program.
here=$(dirname "$0")

agent() {
    cat >"$keep/message"
    # A session of its own for each task, so that nothing of the last one is in the next.
    openclaw agent --local --agent "${OPENCLAW_AGENT:-main}" --session-id "dispatch-$(field .claim.id)" \
        --message-file "$keep/message" </dev/null
}

. "$here/one-task.sh"
one_task
