# The rules of tests/tidy for C++ files, given as paths from the project's root. Prints "file:line: what is wrong".
# POSIX awk: Debian's mawk has no more.

function allow(room, rooms) { table[room] = " " room " " rooms " " }

# An include matching `header` may stand only in files matching `places`; `library` names it for the message.
function library(name, header, places) { ++libraries; lib_name[libraries] = name; lib_header[libraries] = header; lib_places[libraries] = places }

# Code matching `code` may stand only in files matching `places`; tests and bench may do as they like unless `all` is set.
function seam(code, places, cure, all) { ++seams; seam_code[seams] = code; seam_places[seams] = places; seam_cure[seams] = cure; seam_all[seams] = all }

BEGIN {
  # ---- Which room may include which: a room, or single headers of it.
  below = "src/base src/trust src/unpack src/volume chunker cache transport/wire transport/swarm transport/multicast transport/net src/nbd src/formats src/casync src/disk src/firstboot"
  allow("src/base", "")
  allow("src/trust", "src/base")
  allow("src/unpack", "src/base")
  allow("src/volume", "src/base src/unpack")
  allow("chunker", "src/base src/volume")
  allow("cache", "src/base chunker")
  allow("transport/wire", "src/base")
  allow("transport/swarm", "src/base transport/wire")
  allow("transport/multicast", "src/base transport/wire")
  allow("transport/net", "src/base src/trust chunker transport/wire transport/swarm transport/multicast")
  allow("src/nbd", "src/base src/volume")
  allow("src/formats", "src/base src/unpack src/volume src/nbd chunker")
  allow("src/casync", "src/base src/unpack src/formats chunker")
  allow("src/disk", "src/base src/volume src/nbd chunker/types.h chunker/digest.h chunker/fingerprint.h")
  allow("src/firstboot", "src/base src/volume chunker/types.h")
  allow("src/deploy", below)
  allow("src/service", below " src/deploy")
  allow("tools", below " src/deploy src/service")
  allow("bench", below " src/deploy src/service tools tests")
  allow("tests", below " src/deploy src/service tools bench")

  # ---- One library, one place. A library that is not here is unknown and refused: add a row, and say why in the commit.
  library("liburing", "^liburing", "^src/disk/")
  library("libnbd", "^libnbd[.]h$", "^src/nbd/")
  library("libcurl", "^curl/", "^src/casync/")
  library("zstd", "^zstd|^zdict", "^chunker/")
  library("xxHash", "^xxhash|^xxh3|^xxh_", "^chunker/")
  library("OpenSSL's EVP", "^openssl/evp[.]h$", "^(chunker/digest[.]cpp$|src/trust/|transport/net/)")
  library("OpenSSL", "^openssl/", "^(src/trust|transport/net)/")
  library("Asio and Beast", "^boost/(asio|beast)", "^(transport/net|src/service)/.*([.]cpp|_impl[.]h)$")
  library("Boost.JSON's forward declarations", "^boost/json/fwd[.]hpp$", ".")
  library("Boost.JSON", "^boost/json", "[.]cpp$")
  library("Boost.System", "^boost/system/", "^(transport/net|src/service)/|[.]cpp$")
  library("SQLite", "^sqlite3", "^cache/")
  library("libblkid", "^blkid/", "^src/volume/")
  library("libfdisk", "^libfdisk/", "^src/volume/")
  library("libext2fs", "^(ext2fs/|et/com_err)", "^src/volume/")
  library("libfuse", "^fuse(_lowlevel)?[.]h$|^fuse3?/", "^src/volume/")
  library("libarchive", "^archive[.]h$", "^src/unpack/")
  library("zlib", "^zlib[.]h$", "^src/formats/")  # for CRC32 alone
  library("yaml-cpp", "^yaml-cpp/", "^src/firstboot/")
  library("CLI11", "^CLI/", "^(tools/stampede|tests/powerloss)/")
  library("ISA-L", "^(isa-l|erasure_code)", "^transport/multicast/")
  library("ipsec-mb", "^intel-ipsec-mb[.]h$", "^(chunker/multi_buffer[.]cpp$|transport/net/)")
  library("prometheus-cpp", "^prometheus/", "^src/service/")
  library("{fmt}", "^fmt/", ".")
  library("spdlog", "^spdlog/", ".")
  library("the dynamic linker", "^dlfcn[.]h$", "^(src/base/lazy_library[.]cpp$|tests/)")  # tests watch by it what is asked of the kernel
  library("GoogleTest", "^(gtest|gmock)/", "^(tests|bench)/|^src/base/precompiled.h$")
  library("RapidCheck", "^rapidcheck", "^tests/")
  library("Google Benchmark", "^benchmark/", "^bench/")
  # The C++ library has no dot in its names; the rest is the C library's and the kernel's.
  platform = "^([a-z_0-9]+|(sys|linux|net|netinet|arpa|asm|asm-generic|mtd|scsi)/[a-z_0-9/-]+[.]h|" \
             "(fcntl|unistd|malloc|stdlib|string|stdio|time|poll|signal|dirent|getopt|grp|pwd|netdb|sched|spawn|termios|ifaddrs|mntent|glob|fnmatch|pthread|immintrin|cpuid|resolv)[.]h)$"

  # ---- Seams. N: what may stand before a name so that it is not part of a longer one, or a member or namespace of ours.
  N = "(^|[^A-Za-z0-9_])"
  M = "(^|[^A-Za-z0-9_.>:]|std::|[^A-Za-z0-9_>]::|^::)"
  clock_cure = "ask the Clock of src/base/seams.h for the time"
  random_cure = "ask the Random of src/base/seams.h for randomness"
  file_cure = "go through src/base/file.h"
  seam("_clock::now", "^src/base/seams[.]cpp$", clock_cure)
  seam(M "time[(](nullptr|NULL|0|&)", "^src/base/seams[.]cpp$", clock_cure)
  seam(M "(clock_gettime|gettimeofday|ftime|timespec_get)[(]", "^src/base/seams[.]cpp$", clock_cure)
  seam(M "(getrandom|getentropy|rand|srand|rand_r|drand48|arc4random)[(]", "^src/base/seams[.]cpp$", random_cure)
  seam(N "(random_device|mt19937|mt19937_64|minstd_rand|default_random_engine|RAND_bytes)([^A-Za-z0-9_]|$)", "^src/base/seams[.]cpp$", random_cure)
  seam("(^|[^A-Za-z0-9_])::(socket|connect|bind|listen|accept|accept4|sendto|recvfrom|sendmsg|recvmsg|sendmmsg|recvmmsg)[(]", "^(transport/net|src/service)/", "sockets belong to transport/net and src/service")
  seam(M "socket[(] *[AP]F_", "^(transport/net|src/service)/", "sockets belong to transport/net and src/service")
  # src/disk is the seam of disks, and reads /proc and /sys for its inventory.
  seam("(^|[^A-Za-z0-9_])::(open|openat|openat2|creat|mkstemp|mkostemp)[(]", "^src/(base/file[.]cpp$|disk/)", file_cure)
  seam(M "(open|openat|creat)[(].*O_(RDONLY|WRONLY|RDWR|PATH|CREAT)", "^src/(base/file[.]cpp$|disk/)", file_cure)
  seam(M "(fopen|fdopen|freopen|tmpfile)[(]", "^src/(base/file[.]cpp$|disk/)", file_cure)
  seam(N "(ifstream|ofstream|fstream|filebuf)([^A-Za-z0-9_]|$)", "^src/(base/file[.]cpp$|disk/)", file_cure)
  seam(N "(EVP_Digest(Init|Update|Final|[(])|EVP_Q_digest|SHA(1|256|512)([(]|_Init))", "^(chunker/digest[.]cpp$|bench/)", "hashing belongs to chunker/digest.cpp", 1)
  seam(M "(system|popen)[(]", "^$", "start programs without a shell between")
  seam(N "DISABLED_[A-Za-z]", "^$", "a disabled test passes silently: repair it, or skip it with a reason", 1)
  seam("#if 0", "^$", "delete code that is not needed", 1)
}

function report(text) {
  text = FILENAME ":" FNR ": " text
  if (text == last) return
  print last = text
  ++problems
}

# The room that a path belongs to; "" if there is none.
function room_of(path,    parts, n) {
  n = split(path, parts, "/")
  if (n < 2) return ""
  if (parts[1] == "src" || parts[1] == "transport") return n > 2 && ((parts[1] "/" parts[2]) in table) ? parts[1] "/" parts[2] : ""
  return parts[1] in table ? parts[1] : ""
}

# Where a file stands for the libraries: a test stands in the room whose twin it is.
function place_of(path,    parts, n, room) {
  n = split(path, parts, "/")
  if (parts[1] != "tests" || n < 3) return path
  for (room in table)
    if (room == parts[2] || room == "src/" parts[2] || room == "transport/" parts[2]) { sub("^tests/[^/]*", room, path); return path }
  return path
}

function check_project_include(header,    from, to) {
  from = room_of(FILENAME)
  to = room_of(header)
  if (to == "") return report("\"" header "\" is in no room: include by the path from the project's root")
  if (index(table[from], " " to " ") == 0 && index(table[from], " " header " ") == 0)
    return report(from " may not include " header ": the rooms' table in tests/tidy_code.awk says what it may")
  if (header ~ /_impl[.]h$/ && from != to && from != "tests")
    report(header " is for " to " alone; include its public header")
}

function check_library_include(header,    i, place, known) {
  place = place_of(FILENAME)
  for (i = 1; i <= libraries; ++i)
    if (header ~ lib_header[i]) {
      # Tests and bench may use what they want to compare with, except for what their own row says.
      if (place !~ lib_places[i] && FILENAME !~ lib_places[i] && !(FILENAME ~ /^(bench|tests)\/.*[.]cpp$/ && place ~ /^(bench|tests)\//))
        report(lib_name[i] " <" header "> does not belong here, only in " lib_places[i])
      return
    }
  if (header !~ platform) report("<" header "> is of a library that tests/tidy_code.awk does not know: add its row")
}

# The line without comments and without what stands in quotes. `inside` carries over lines what it began with.
function code_of(line,    out, at, token, end) {
  out = ""
  while (line != "") {
    if (inside != "") {
      at = index(line, inside)
      if (at == 0) return out
      line = substr(line, at + length(inside))
      inside = ""
    } else if (!match(line, /\/\/|\/\*|R"[^(" ]*[(]|"|'/)) {
      return out line
    } else {
      token = substr(line, RSTART, RLENGTH)
      out = out substr(line, 1, RSTART - 1)
      line = substr(line, RSTART + RLENGTH)
      if (token == "//") return out
      if (token == "/*") inside = "*/"
      else if (token ~ /^R/) { inside = ")" substr(token, 3, length(token) - 3) "\""; out = out "\"\"" }
      else if (token == "\"") { end = match(line, /^([^"\\]|\\.)*"/) ? RLENGTH : length(line); line = substr(line, end + 1); out = out "\"\"" }
      else if (out ~ /[0-9a-fA-F]$/ && line ~ /^[0-9a-fA-F]/ && line !~ /^.'/) out = out "'"
      else if (match(line, /^(\\[^']*|\\'|[^\\'])'/)) { line = substr(line, RLENGTH + 1); out = out "''" }
    }
  }
  return out
}

FNR == 1 {
  inside = ""
  long_reported = 0
  exempt = FILENAME ~ /^(tests|bench)\//
  if (room_of(FILENAME) == "") report("stands in no room: see the rooms' table in tests/tidy_code.awk")
  if (FILENAME ~ /[.]h$/ && $0 !~ /^\/\/ ./) report("a header starts with a comment that says what it is")
}

FNR == 501 { report("longer than 500 lines: look for a second responsibility") }

/(^|[^A-Za-z0-9_])(TODO|FIXME|XXX)([^A-Za-z0-9_]|$)/ { report("finish it or leave it out: no notes to do it later") }

{
  if (inside == "" && match($0, /^ *# *include *[<"][^>"]*[>"]/)) {
    header = substr($0, RSTART, RLENGTH)
    quoted = header ~ /"$/
    sub(/^[^<"]*[<"]/, "", header)
    sub(/[>"]$/, "", header)
    if (quoted) check_project_include(header)
    else check_library_include(header)
    next
  }
  code = code_of($0)
  if (code !~ /[A-Za-z]/) next
  for (i = 1; i <= seams; ++i)
    if ((!exempt || seam_all[i]) && FILENAME !~ seam_places[i] && code ~ seam_code[i]) report(seam_cure[i])
}

END { exit problems > 0 }
