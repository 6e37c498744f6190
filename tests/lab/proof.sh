# shellcheck shell=bash
# Is a written disk the image, but for what makes it its own machine? Part of tools/demo and the end-to-end tests.

# Everything that first boot may touch; paths without the leading slash.
CUSTOMISED='^(etc/stampede(/roles)?|var/lib/cloud(/seed(/nocloud(/(meta-data|user-data|network-config))?)?)?|etc/(machine-id|hostname)|var/lib/dbus/machine-id|etc/ssh/ssh_host_[a-z0-9_]+_key(\.pub)?)$'

# These are asked under `if` and `||`, where `set -e` does not count: each failure is passed on by hand.
#
# tree_of DISK: the listing of the root file system's tree (list_tree). Mounted where loop devices can be had, else copied out.
tree_of() {
  local dir mark at status=0
  mark=$(undo_mark)
  dir=$(mktemp -d "$LAB/root.XXXXXX")
  if have_loop >/dev/null; then
    mount_root "$1" "$dir" && list_tree "$dir" || status=$?
    undo_to "$mark"
    rmdir "$dir"
  else
    read -ra at < <(partition_of "$1" "$ROOT_TYPE") && debugfs -R "rdump / $dir" "$1?offset=${at[1]}" 2>/dev/null &&
      list_tree "$dir" || status=$?
    rm -rf "$dir"
  fi
  return "$status"
}

# image_tree IMAGE-FOLDER: prints the file with the image's listing, made once for each way of looking (a copied tree has no
# device nodes and no set-user-id bits).
image_tree() {
  local file=$1/tree.list
  have_loop >/dev/null || file=$1/tree-copied.list
  [ -s "$file" ] || { tree_of "$1/disk.img" >"$file.$$" && mv "$file.$$" "$file"; } || return 1
  echo "$file"
}

# differences DISK IMAGE-FOLDER: what differs, one path a line; status 1 if that is more than first boot may touch, or if one
# of the two trees cannot be listed.
differences() {
  local found=$LAB/differences.$BASHPID image status=0
  image=$(image_tree "$2") && [ -s "$image" ] || { say "cannot list the root of the image in $2"; return 1; }
  tree_of "$1" >"$found.tree" && [ -s "$found.tree" ] || { say "cannot list the root of $1"; return 1; }
  changed_paths "$image" "$found.tree" >"$found" || status=1
  cat "$found"
  only_customised "$found" || status=1
  rm -f "$found.tree" "$found"
  return "$status"
}
# only_customised FILE: every line of changed_paths in it names a path that first boot may touch.
only_customised() { allowed=$CUSTOMISED awk '{ sub(/^[^ ]* /, "") } $0 !~ ENVIRON["allowed"] { exit 1 }' "$1"; }

# sound_root DISK: e2fsck -fn finds nothing, with or without loop devices.
sound_root() {
  local at
  read -ra at < <(partition_of "$1" "$ROOT_TYPE")
  e2fsck -fn "$1?offset=${at[1]}" 2>&1
}

# read_in_root DISK PATH: a file's content, without mounting.
read_in_root() {
  local at
  read -ra at < <(partition_of "$1" "$ROOT_TYPE")
  debugfs -R "cat $2" "$1?offset=${at[1]}" 2>/dev/null
}
