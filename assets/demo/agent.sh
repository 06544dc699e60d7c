#!/bin/sh
# Placeholder of the demo program.
cat >/dev/null
exit 0
