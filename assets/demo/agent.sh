#!/bin/sh
# The demo's agent: what a coding agent does, without a model. It reads its prompt, says what it does in the event stream
# of `claude --output-format stream-json`, edits files, and commits where git is there. Needs no more than a POSIX shell
# (dash, busybox); without git the edits are left for the runner to commit.

prompt=$(cat)

say() {
    printf '{"type":"assistant","message":{"content":[{"type":"text","text":"%s"}]}}\n' "$1"
    sleep 0.2 2>/dev/null || :
}

tool() {
    printf '{"type":"assistant","message":{"content":[{"type":"tool_use","name":"%s","input":{"%s":"%s"}}]}}\n' \
        "$1" "$2" "$3"
    sleep 0.2 2>/dev/null || :
}

finish() { # whether it is an error, what to say, exit code
    printf '{"type":"result","subtype":"success","is_error":%s,"result":"%s","total_cost_usd":0,' "$1" "$2"
    printf '"usage":{"input_tokens":1200,"output_tokens":150}}\n'
    exit "$3"
}

commit() {
    if command -v git >/dev/null 2>&1 && git add -A >/dev/null 2>&1 && git commit -q -m "$1" >/dev/null 2>&1; then
        tool Bash command "git commit"
    else
        say "No commit from here; the changes are left in place."
    fi
}

printf '{"type":"system","subtype":"init","model":"none"}\n'
say "Reading the issue."

case $prompt in
*"Greet people in the evening"*)
    tool Read file_path greet.sh
    cat >greet.sh <<'EOF'
#!/bin/sh
# Greets everybody in names.txt, by the time of day.
hour=$(date +%H)
case $hour in
0[5-9] | 1[01]) greeting="Good morning" ;;
1[2-7]) greeting="Good afternoon" ;;
*) greeting="Good evening" ;;
esac
while read -r name; do
    echo "$greeting, $name!"
done <names.txt
EOF
    tool Edit file_path greet.sh
    tool Bash command "sh greet.sh"
    if ! sh greet.sh >/dev/null; then
        finish true "greet.sh does not run" 1
    fi
    commit "Greet by the time of day"
    finish false "The greeting follows the time of day now." 0
    ;;
*"Decide how to greet strangers"*)
    # The note lies where git and the next attempt find it: asked once, the answer is in the prompt.
    note=.git/demo-asked
    if [ ! -e "$note" ]; then
        tool Grep pattern stranger
        cat >BLOCKED.md <<'EOF'
Should a stranger be greeted with "Hello, stranger!", or not at all?

Both are easy. The first surprises people who only wanted to look; the second feels cold.
EOF
        : >"$note" 2>/dev/null || :
        finish false "A person has to decide how strangers are greeted." 0
    fi
    say "The question was answered; going on."
    printf '%s\n' 'Strangers are greeted as the maintainers decided.' >strangers.md
    tool Write file_path strangers.md
    commit "Write down how strangers are greeted"
    finish false "Strangers are taken care of." 0
    ;;
*"Translate the greeting into Klingon"*)
    tool Bash command "dict klingon hello"
    say "There is no dictionary to translate with."
    finish true "no Klingon dictionary is installed, so the translation cannot be checked" 1
    ;;
*"Say how to run it"*)
    tool Read file_path README.md
    printf '\n## Running it\n\n```\nsh greet.sh\n```\n\nEvery line of `names.txt` is greeted once.\n' >>README.md
    tool Edit file_path README.md
    commit "Say how to run it"
    finish false "The README says how to run it." 0
    ;;
*"Greet in alphabetical order"*)
    sort names.txt >names.new && mv names.new names.txt
    tool Edit file_path names.txt
    commit "Sort the names"
    finish false "The names are sorted." 0
    ;;
*)
    printf '%s\n' 'The demo agent was here.' >>NOTES.md
    tool Write file_path NOTES.md
    commit "Leave a note"
    finish false "A note was left in NOTES.md." 0
    ;;
esac
