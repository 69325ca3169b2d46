#!/usr/bin/env bash
# build.sh [<folder>]: builds carillon with Swift's runtime linked in, and a Debian package of it with nothing but dpkg-dev;
# both come into the folder (.build/deb). The package is for the Debian release it was built on.
#   CARILLON_BINARY=<file>  packages this program instead of building one
#   DEB_REVISION=<n>        Debian's part of the version (1)
#   SCRATCH=<folder>        where SwiftPM builds (.build)
set -euo pipefail
cd "$(dirname "$0")/../.."
from=docker/debian
out=$(realpath -m "${1:-.build/deb}")
read -ra swift <<<"${SWIFT:-swift}"
scratch=${SCRATCH:-.build}

build=("${swift[@]}" build -c release --static-swift-stdlib --scratch-path "$scratch")
if [ -z "${CARILLON_BINARY:-}" ]; then
    "${build[@]}" --product carillon
    CARILLON_BINARY=$("${build[@]}" --show-bin-path)/carillon
fi
program=$(realpath "$CARILLON_BINARY")
version=$("$program" version | cut -d ' ' -f 2)
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+ ]] || { echo "build.sh: expected a version, got '$version'" >&2 && exit 1; }
full=$version-${DEB_REVISION:-1}
architecture=$(dpkg --print-architecture)
# What is packed twice from the same sources is the same, byte for byte.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}

work=$out/work
root=$work/root
rm -rf "$work"
mkdir -p "$root/DEBIAN" "$work/debian"
umask 022
install_file() { install -D -m "$1" "$2" "$root/$3"; }
compressed() { gzip -9n > "$root/$1"; }

# The program; its symbols stand beside the package, for whoever looks at a crash.
install -D -m 755 "$program" "$root/usr/bin/carillon"
symbols=$out/carillon_${full}_${architecture}.debug
objcopy --only-keep-debug "$program" "$symbols"
chmod 644 "$symbols"
strip --remove-section=.comment --remove-section=.note "$root/usr/bin/carillon"
objcopy --add-gnu-debuglink="$symbols" "$root/usr/bin/carillon"

install_file 644 docker/systemd/carillon.service usr/lib/systemd/system/carillon.service
install_file 600 $from/carillon.conf etc/carillon/carillon.conf
install_file 600 $from/migrate.conf etc/carillon/migrate.conf
install_file 644 $from/targets.yaml etc/carillon/targets.yaml
install_file 640 $from/tokens.yaml etc/carillon/tokens.yaml

mkdir -p "$root"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d,man/man1}
"$program" --generate-completion-script bash > "$root/usr/share/bash-completion/completions/carillon"
"$program" --generate-completion-script zsh > "$root/usr/share/zsh/vendor-completions/_carillon"
"$program" --generate-completion-script fish > "$root/usr/share/fish/vendor_completions.d/carillon.fish"

# The manual's list of commands is what the program says of itself.
commands=$("$program" --help | awk '
    /^SUBCOMMANDS:/ { inside = 1; next }
    inside && /^$/ { exit }
    inside && /^  [a-z]/ { name = $1; sub(/^ *[^ ]+ */, ""); printf ".TP\n.B %s\n%s\n", name, $0; next }
    inside { sub(/^ */, ""); print }
' | sed 's/-/\\-/g')
VERSION=$version COMMANDS=$commands awk '
    $0 == "@COMMANDS@" { print ENVIRON["COMMANDS"]; next }
    { gsub(/@VERSION@/, ENVIRON["VERSION"]); print }
' $from/carillon.1 | compressed usr/share/man/man1/carillon.1.gz

doc=usr/share/doc/carillon
mkdir -p "$root/$doc/examples"
install_file 644 $from/copyright $doc/copyright
compressed $doc/changelog.gz < CHANGELOG.md
printf 'carillon (%s) unstable; urgency=medium\n\n  * See changelog.gz.\n\n -- The authors of Carillon <carillon@localhost>  %s\n' \
    "$full" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | compressed $doc/changelog.Debian.gz
# shellcheck disable=SC2094
for page in docs/*.md; do compressed "$doc/$(basename "$page").gz" < "$page"; done
cp -r docker/nats docker/prometheus "$root/$doc/examples/"
install_file 644 docker/grafana/dashboard.json $doc/examples/grafana/dashboard.json
find "$root/$doc/examples" -type d -exec chmod 755 {} + -o -type f -exec chmod 644 {} +
# What is linked in, with its licences and notices.
{
    for checkout in "$scratch"/checkouts/*/; do
        for file in "$checkout"{LICENSE,NOTICE}*; do
            if [ -f "$file" ]; then printf '===== %s %s =====\n\n' "$(basename "$checkout")" "$(basename "$file")"; cat "$file"; fi
        done
    done
    license=$(dirname "$(realpath "$(command -v "${swift[0]}")")")/../share/swift/LICENSE.txt
    if [ -f "$license" ]; then printf '===== swift LICENSE.txt =====\n\n'; cat "$license"; fi
} | compressed $doc/third-party.gz

for script in postinst prerm postrm; do install_file 755 $from/$script DEBIAN/$script; done
(cd "$root" && find etc -type f -printf '/%p\n' | sort) > "$root/DEBIAN/conffiles"
(cd "$root" && find usr etc -type f -print0 | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"

# The libraries that the program asks for, at the versions whose symbols it uses.
printf 'Source: carillon\n\nPackage: carillon\nArchitecture: any\n' > "$work/debian/control"
# shellcheck disable=SC2086
depends=$(cd "$work" && dpkg-shlibdeps ${DEB_SHLIBDEPS_FLAGS:-} -O -e"$root/usr/bin/carillon" | sed -n 's/^shlibs:Depends=//p')
cat > "$root/DEBIAN/control" <<CONTROL
Package: carillon
Version: $full
Architecture: $architecture
Maintainer: The authors of Carillon <carillon@localhost>
Installed-Size: $(du -k --apparent-size --exclude=DEBIAN -s "$root" | cut -f 1)
Depends: $depends, adduser, tzdata
Recommends: ca-certificates
Suggests: nats-server, postgresql
Section: net
Priority: optional
Description: scheduler for NATS
 Carillon sends commands as NATS messages at a time, on a rhythm, or when
 asked, and keeps schedules and a complete ledger of what it fired in
 PostgreSQL. Any number of instances run side by side, without a leader.
 .
 It needs nats-server 2.9.10 or later with JetStream, and PostgreSQL 15 or
 later, on this machine or others.
CONTROL
package=$out/carillon_${full}_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >&2
rm -rf "$work"
echo "$package"
