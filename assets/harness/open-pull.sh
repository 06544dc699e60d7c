#!/bin/sh
# Publishes a branch: sh open-pull.sh BRANCH BASE ISSUE TITLE, in the checkout. It pushes, and opens a pull request if none is
# open from the branch. On GitHub it needs gh. For a local repository a pull request is a file, .dispatch/pulls/<n>.md.
set -eu
branch=${1:?branch} base=${2:?base} issue=${3:?issue} title=${4:-$1}

origin=$(git remote get-url origin 2>/dev/null || :)
if [ -d .dispatch ]; then
    forge=.dispatch
elif [ -d "$origin/.dispatch" ]; then
    git push -q origin "$branch"
    forge=$origin/.dispatch
else
    git push -q -u origin "$branch"
    gh pr view "$branch" --json state --jq .state 2>/dev/null | grep -qx OPEN ||
        gh pr create --head "$branch" --base "$base" --title "$title" --body "Fixes #$issue"
    exit 0
fi

# Open already: a pull request follows its branch.
if grep -lsx "head: $branch" "$forge"/pulls/*.md | xargs -r grep -Lx 'state: \(closed\|merged\)' | grep -q .; then
    exit 0
fi
mkdir -p "$forge/pulls"
n=$(ls "$forge/issues" "$forge/pulls" | sed -n 's/^\([0-9]\{1,\}\).*/\1/p' | sort -n | tail -n 1)
# Written beside and linked into place: never half there, and never over another one's.
new=$forge/pulls/.new.$$
trap 'rm -f "$new"' EXIT
printf -- '---\ntitle: %s\nhead: %s\nbase: %s\nfixes: [%s]\n---\n\nFixes #%s\n' \
    "$(printf %s "$title" | jq -Rs .)" "$branch" "$base" "$issue" "$issue" >"$new"
n=${n:-0}
until n=$((n + 1)) && ln "$new" "$forge/pulls/$n.md" 2>/dev/null; do
    [ -e "$forge/pulls/$n.md" ] || { printf '%s cannot be written\n' "$forge/pulls/$n.md" >&2; exit 1; }
done
