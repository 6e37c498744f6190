# shellcheck shell=bash
# Shows several deployments at once from their --progress json events. Part of tools/demo.
#
# On a terminal one line for each target, redrawn; else a line whenever a target reaches another stage or quarter.

# show_progress NAME…: until all of the processes in $PIDS have ended; their events are in $LAB/NAME.out.
show_progress() {
  local drawn='' began=$EPOCHREALTIME
  while true; do
    local alive='' pid
    for pid in "${PIDS[@]}"; do is_running "$pid" && alive=1; done
    if [ -t 1 ]; then
      [ -z "$drawn" ] || printf '\033[%dA' "$#"
      latest_events "$@" | draw_lines
      drawn=1
    else
      latest_events "$@" | tell_milestones "$(since "$began")"
    fi
    [ -n "$alive" ] || break
    sleep 0.3
  done
}

# "NAME<tab>STAGE<tab>PERCENT<tab>MiB/s<tab>share by multicast, percent<tab>seconds to go", a line for each target.
latest_events() {
  local name
  for name; do printf '%s\t%s\n' "$name" "$(tail -n 4 "$LAB/$name.out" 2>/dev/null | tr '\n' '\036')"; done |
    jq -Rr 'split("\t") as [$name, $lines] | [$lines | split("\u001e")[] | fromjson? // empty] as $events
      | ($events | last // {}) as $e | ([$events[] | select(.bytes)] | last // {}) as $p
      | ($p.bytes // {}) as $b | (($b.depot // 0) + ($b.peers // 0) + ($b.multicast // 0) + ($b.local // 0)) as $came
      | [$name,
         (if $e.event == "finished" then $e.verdict else $e.stage // "starting" end),
         (if $e.verdict == "success" or ($e.stage // "" | IN("flush", "read-back", "fit", "first-boot", "commit")) then 100
          elif ($b.total // 0) > 0 then [($b.verified // 0) * 100 / $b.total | floor, 100] | min else 0 end),
         (($p.rate // 0) / 1048576 | floor),
         (if $came > 0 then ($b.multicast // 0) * 100 / $came | floor else 0 end),
         ($p.eta_seconds // "" | if type == "number" then ceil else . end)] | map(tostring) | join("\t")'
}

draw_lines() {
  awk -F '\t' '{
    full = int($3 * 30 / 100); bar = ""
    for (i = 0; i < 30; i++) bar = bar (i < full ? "█" : "·")
    rate = sprintf("%5d MiB/s", $4); to_go = $6 != "" && $6 > 0 ? ", " $6 " s to go" : ""
    if ($2 == "success" || $2 == "failure" || $2 == "refused") { rate = "           "; to_go = "" }
    printf "\033[K  %-10s %s %3d %%  %s  %3d %% by multicast  %s%s\n", $1, bar, $3, rate, $5, $2, to_go
  }'
}

tell_milestones() {
  local name stage percent rest mark
  while IFS=$'\t' read -r name stage percent rest; do
    mark=$stage
    [ "$stage" != transfer ] || mark+=" $((percent / 25 * 25)) %"
    [ "$mark" != "$(cat "$LAB/.told-$name" 2>/dev/null)" ] || continue
    echo "$mark" >"$LAB/.told-$name"
    printf '  %6.1f s  %-10s %s\n' "$1" "$name" "$mark"
  done
}

# show_timeline NAME…: from the receipts: a bar of stages for each target, and where the time went.
show_timeline() {
  local name
  for name; do jq -c --arg name "$name" '{name: $name, stages, bytes}' "$LAB/$name.receipt"; done |
    jq -rs '(map(.stages | map(.start + .seconds) | max) | max) as $until | .[]
      | .name as $n | .stages[] | [$n, .name, .start, .seconds, $until] | map(tostring) | join("\t")' |
    awk -F '\t' -v width=60 '
      function flush_line() { if (who != "") printf "  %-10s |%-*s| %.2f s\n", who, width, line, last }
      BEGIN { split("connect:c plan:p transfer:t flush:f read-back:r fit:d first-boot:b commit:w", a, " ")
              for (i in a) { split(a[i], kv, ":"); letter[kv[1]] = kv[2] } }
      $1 != who { flush_line(); who = $1; line = "" }
      { last = $3 + $4; total[$2] += $4; sum += $4; if (!($2 in seen)) { seen[$2] = ++kinds; order[kinds] = $2 }
        upto = int(last * width / $5 + 0.5); from = int($3 * width / $5)
        while (length(line) < from) line = line " "
        while (length(line) < upto) line = line ($2 in letter ? letter[$2] : "?") }
      END { flush_line(); targets = 0; printf "\n  where the time went (mean of the targets):\n"
            for (i = 1; i <= kinds; i++) printf "    %s = %-10s %6.2f s  %3d %%\n", letter[order[i]], order[i], total[order[i]] / '"$#"', total[order[i]] * 100 / (sum > 0 ? sum : 1) }'
}

# show_sources NAME…: where each target's bytes came from.
show_sources() {
  local name
  for name; do
    jq -r --arg name "$name" '.bytes as $b | def m: (. // 0) / 1048576 | round;
      "  \($name): \($b.multicast | m) MiB by multicast, \($b.depot | m) from the depot, \($b.peers | m) from other targets, \($b.local | m) already there; \($b.durable | m) MiB durable and read back"' \
      "$LAB/$name.receipt"
  done
}
