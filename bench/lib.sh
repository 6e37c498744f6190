# shellcheck shell=bash
# What the benches share, on top of the lab. Sourced, not run; the sourcing script sets $results, a file of lines
# "SIDE N FIGURE…".
. "$(dirname "${BASH_SOURCE[0]}")/../tests/lab/lib.sh"

# bytes_per_second RATE: as tc writes it.
bytes_per_second() {
  case $1 in
    *gbit) echo $((${1%gbit} * 125000000)) ;;
    *mbit) echo $((${1%mbit} * 125000)) ;;
    *) die "rate '$1': say it in gbit or mbit" ;;
  esac
}

# serve_files FOLDER PORT: nginx in the depot's node.
serve_files() {
  mkdir -p "$LAB/nginx"
  cat >"$LAB/nginx.conf" <<CONF
worker_processes 2; daemon off; pid $LAB/nginx/pid; error_log stderr; user root;
events { worker_connections 64; }
http {
  access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path $LAB/nginx; proxy_temp_path $LAB/nginx; fastcgi_temp_path $LAB/nginx; uwsgi_temp_path $LAB/nginx;
  scgi_temp_path $LAB/nginx;
  server { listen $(address_of depot):$2; root $1; }
}
CONF
  start_in depot nginx nginx -e stderr -c "$LAB/nginx.conf"
  wait_for 10 nginx listening depot "$2"
}

# start_udp_sender FILE N: udpcast's, in the depot's node, for N receivers.
start_udp_sender() {
  start_in depot udp-sender udp-sender --interface e0 --file "$1" --min-receivers "$2" --full-duplex --nokbd --no-progress
}

# print_table HEAD ROW: of $LAB/report.json; what jq makes an array of strings, r(digits) rounds.
print_table() {
  jq -r 'def r($d): if . == null then "-" else . * pow(10; $d) | round / pow(10; $d) | tostring end;
    '"($1), (.[] | $2)"' | @tsv' "$LAB/report.json" | column -t -s $'\t'
}

most_of() { tr ' ' '\n' <<<"$1" | sort -n | tail -n 1; }

median() { sort -n | awk '{ a[NR] = $1 } END { if (!NR) print "null"; else print NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2 }'; }
# of SIDE N COLUMN: the median.
of() { awk -v s="$1" -v n="$2" -v c="$3" '$1 == s && $2 == n { print $c }' "$results" | median; }
