#!/bin/sh
# From cron: one task at a time, and no model started when there is none. In `crontab -e`:
#
#   */10 * * * * DISPATCH_AGENT_NAME=saffron-nightly sh /path/to/cron.sh /path/to/checkout /path/to/claude-code.sh
#
# The lock keeps a start from overtaking the one before. Idle is no error, so cron sends no mail about it.
set -eu
checkout=${1:?the checkout to work in} harness=${2:?the harness to start}
PATH=$PATH:/usr/local/bin:$HOME/.local/bin:$HOME/.cargo/bin
cd "$checkout"
exec 9>"$(git rev-parse --absolute-git-dir)/dispatch.lock"
flock -n 9 || exit 0
code=0
DISPATCH_WAIT=${DISPATCH_WAIT:-0s} sh "$harness" 9>&- || code=$?
[ "$code" = 3 ] || exit "$code"
