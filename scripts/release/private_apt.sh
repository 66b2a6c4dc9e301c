# Sourced. Debian's packages of another release, on a Debian machine whose own apt is left as it is: its own list of
# sources, its own state, and every file checked against the archive's signature. They come from the mirror that the
# machine itself uses, or from DEBIAN_MIRROR, which an Ubuntu machine must name.

# private_apt FOLDER "deb|deb-src|deb:arm64 SUITE COMPONENTS"...: afterwards apt-get and apt-cache in this shell use these only.
private_apt() {
  local folder=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror line kind arch rest
  shift
  [ -e "$keyring" ] || {
    echo "$keyring is missing; install it: apt-get install -y debian-archive-keyring" >&2
    return 1
  }
  mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(SITE)' | grep -E -m 1 '/debian/?$' || true)}
  [ -n "$mirror" ] || {
    echo "DEBIAN_MIRROR: expected the address of a Debian mirror, as apt here has none, but received nothing" >&2
    return 1
  }
  mkdir -p "$folder"/{state/lists/partial,cache/archives/partial,empty}
  for line in "$@"; do
    read -r kind rest <<< "$line"
    arch=amd64
    [[ $kind != *:* ]] || arch=${kind#*:}
    echo "${kind%:*} [arch=$arch signed-by=$keyring] $mirror $rest"
  done > "$folder/sources.list"
  cat > "$folder/apt.conf" <<CONF
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "$folder/empty";
Dir::Etc::preferences "$folder/none";
Dir::Etc::preferencesparts "$folder/empty";
Dir::State "$folder/state";
Dir::State::status "/dev/null";
Dir::Cache "$folder/cache";
APT::Architecture "amd64";
APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
CONF
  export APT_CONFIG="$folder/apt.conf"
  apt-get -qq update
}
