# shellcheck shell=bash
# Parts of a run: each writes to a log of its own, a line is printed every 15 seconds for each part that is running, and a failed
# part shows the end of its log. Sourced by tests/run. Uses bash and coreutils only.

logs=${CARGO_TARGET_DIR:-target}/test-run
status_dir=        # one file for each running part
watcher=
declare -A groups=()    # part -> process group
declare -A began=()
current=()         # parts that are running, for the summary of an interrupted run
summary=()
passed=0
failed=0

start_progress() {
    status_dir=$1
    mkdir -p "$logs" "$status_dir"
    rm -f "$logs"/*
    set +m
    watch_parts &
    watcher=$!
}

stop_progress() {
    [[ -z $watcher ]] || kill "$watcher" 2>/dev/null || true
    watcher=
}

log_of() {
    local name=${1,,}
    printf '%s/%s.log' "$logs" "${name//[^a-z0-9]/-}"
}

watch_parts() {
    local file part usual start line
    while sleep 15; do
        for file in "$status_dir"/*; do
            [[ $file != *.ended ]] || continue
            { IFS=$'\t' read -r part usual start <"$file"; } 2>/dev/null || continue
            line=$(last_event "$(log_of "$part")")
            printf '   %4d s  %s (usually %s): %s\n' "$(($(date +%s) - start))" "$part" "$usual" "${line:-starting}"
        done
    done
}

# last_event LOG: where a part is, in one line: for tests how many are done, and which are left when they are few.
last_event() {
    local log=$1 line last='' done=0 total=0
    local -A left=()
    [[ -e $log ]] || return 0
    while IFS= read -r line; do
        case $line in
            'test '*' ... '*) done=$((done + 1)) line=${line#test } && unset "left[${line%% ...*}]" ;;
            'running '*' test'*) total=$((total + ${line//[^0-9]/})) ;;
            'expected: '*) left[${line#expected: }]=1 ;;
        esac
        [[ -z ${line// /} ]] || last=$line
    done <"$log"
    if ((total)); then
        printf '%s of %s tests done' "$done" "$total"
        if ((${#left[@]} > 0 && ${#left[@]} <= 6)); then
            printf ', left: %s' "${!left[*]}"
        fi
        printf ', last: %s' "${last:0:100}"
    else
        printf '%s' "${last:0:120}"
    fi
}

# begin PART USUAL COMMAND...: starts a part in a process group of its own, so that all of it can be ended.
begin() {
    local part=$1 usual=$2
    shift 2
    began[$part]=$SECONDS
    printf '== %s (usually %s; log: %s)\n' "$part" "$usual" "$(log_of "$part")"
    printf '%s\t%s\t%s\n' "$part" "$usual" "$(date +%s)" >"$status_dir/${part//[^a-zA-Z0-9]/-}"
    set -m
    run_part "$@" </dev/null >>"$(log_of "$part")" 2>&1 &
    groups[$part]=$!
    set +m
}

# run_part COMMAND...: in a shell of its own, where a failing step ends it. No line of progress is printed for it afterwards.
run_part() {
    local status
    set +e
    (
        set -e
        "$@"
    )
    status=$?
    rm -f "$status_dir/${part//[^a-zA-Z0-9]/-}"
    printf '%s' "$SECONDS" >"$status_dir/${part//[^a-zA-Z0-9]/-}.ended"
    exit "$status"
}

# finish_part PART: waits for it; a failure is shown and ends the run.
finish_part() {
    local part=$1 status=0 seconds
    current=("$part")
    wait "${groups[$part]}" || status=$?
    unset "groups[$part]"
    seconds=$(($(cat "$status_dir/${part//[^a-zA-Z0-9]/-}.ended" 2>/dev/null || printf '%s' "$SECONDS") - began[$part]))
    count_tests "$(log_of "$part")"
    if ((status)); then
        summary+=("FAILED $part ($seconds s; log: $(log_of "$part"))")
        show_failure "$part"
        return 1
    fi
    summary+=("ok     $part ($seconds s)")
    printf 'ok %s (%s s)\n' "$part" "$seconds"
    current=()
}

# part PART USUAL COMMAND...
part() {
    begin "$@"
    finish_part "$1"
}

count_tests() {
    local line
    while IFS= read -r line; do
        if [[ $line =~ ^'test result: '[a-zA-Z]+'. '([0-9]+)' passed; '([0-9]+)' failed' ]]; then
            passed=$((passed + BASH_REMATCH[1]))
            failed=$((failed + BASH_REMATCH[2]))
        fi
    done <"$1"
}

# show_failure PART: the failures of tests as libtest lists them, or the end of the log.
show_failure() {
    local log line shown=0 from=0 number=0
    log=$(log_of "$1")
    printf '\n== FAILED: %s. Its whole log: %s\n' "$1" "$log"
    while IFS= read -r line; do
        number=$((number + 1))
        if [[ $line == failures: ]] && ((from == 0)); then
            from=$number
        fi
    done <"$log"
    if ((from)); then
        tail -n "+$from" "$log" | head -n 300
    else
        tail -n 60 "$log"
    fi
}

# end_parts: ends what is still running.
end_parts() {
    local part
    for part in "${!groups[@]}"; do
        kill -TERM -- "-${groups[$part]}" 2>/dev/null || true
    done
    for part in "${!groups[@]}"; do
        wait "${groups[$part]}" 2>/dev/null || true
    done
}
