#!/bin/sh
# Hermes Agent, one task: DISPATCH_AGENT_NAME=saffron-hermes sh hermes.sh
# Settings: HERMES_MODEL. --yolo asks no questions: run it in a container. Not run by our tests against the real program.
here=$(dirname "$0")

agent() {
    cat >"$keep/message"
    hermes chat --oneshot --quiet --yolo ${HERMES_MODEL:+--model "$HERMES_MODEL"} --query-file "$keep/message" </dev/null
}

. "$here/one-task.sh"
one_task
