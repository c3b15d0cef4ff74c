#!/bin/sh
# Builds a release twice, in this folder and in a fresh clone, compares every byte, and tries everything that can run
# here: the package in a root of Debian, its unit under systemd, the images, and the executables for other libraries
# and processors. For root on Debian; it takes some minutes.
set -eu
. "$(dirname "$0")/setup.sh"
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

need debootstrap skopeo systemd-nspawn:systemd-container qemu-aarch64-static:qemu-user-static \
  systemd-analyze:systemd zip unzip

failed=''
tried=''
step() { # title, then a command
  title=$1
  shift
  echo "== $title" >&2
  if "$@" >"$work/out" 2>&1; then tried="$tried
ok      $title"
  else
    cat "$work/out" >&2
    failed=1
    tried="$tried
FAILED  $title"
  fi
}
leave() { tried="$tried
not run $1"; }

if [ -n "$(git status --porcelain)" ]; then
  echo 'commit first: the second build is of a clone' >&2
  exit 1
fi
sh scripts/release.sh >&2
release=$root/dist/release
version=$(node -p "require('./package.json').version")
git clone --quiet "$root" "$work/clone"
same() {
  (cd "$work/clone" && sh scripts/release.sh) && diff "$release/SHA256SUMS" "$work/clone/dist/release/SHA256SUMS"
}
step 'two builds in two folders are the same' same
rm -rf "$work/clone"
sums() { (cd "$release" && sha256sum --check --strict SHA256SUMS); }
step 'the checksums are those of the files' sums

# The root is made once. What changes in it is on top of it, and gone after each trial.
deb=$release/cinnabar_${version}_amd64.deb
debian=$work/debian
step 'debootstrap' sh scripts/release/debian-root.sh "$debian"
older() {
  dpkg-deb -R "$deb" "$work/older"
  echo '# of an older version' >>"$work/older/etc/cinnabar/cinnabar.toml"
  sed -i "s/^Version: .*/Version: 0.0.1~older/" "$work/older/DEBIAN/control"
  dpkg-deb --root-owner-group -Zzstd -z1 --build "$work/older" "$work/older.deb"
}
step 'an older package' older
copy() { cp -a "$debian" "$work/$1"; }
step 'a copy' copy packaged
step 'the package installs, upgrades and goes without a trace' \
  unshare --mount sh scripts/release/try-deb.sh "$work/older.deb" "$deb" "$work/packaged"
step 'another copy' copy booted
step 'the unit starts, reloads, comes back and stops under systemd' \
  sh scripts/release/try-unit.sh "$deb" "$work/booted"

archived() {
  mkdir "$work/archive"
  tar -xzf "$release/cinnabar-$version-linux-x64.tar.gz" -C "$work/archive" --strip-components=1
  sh scripts/release/smoke.sh dist/cinnabar "$work/archive/cinnabar"
}
step 'linux-x64: the archive' archived

# Copies an image as a registry would get it, and lays its layers over each other as a runtime does.
image() { # architecture
  skopeo copy --quiet "docker-archive:$release/cinnabar-$version-image-$1.tar" "docker-archive:$work/copy-$1.tar"
  skopeo copy --quiet "oci-archive:$release/cinnabar-$version-image-$1.tar" "dir:$work/image-$1"
  mkdir -p "$work/root-$1" "$work/data-$1"
  for layer in $(node -p "require('$work/image-$1/manifest.json').layers.map(({ digest }) => digest.slice(7)).join(' ')"); do
    tar -xzf "$work/image-$1/$layer" --numeric-owner -p -C "$work/root-$1"
  done
  mkdir -p "$work/root-$1/proc"
  chown 65534:65534 "$work/data-$1"
}
several() {
  skopeo copy --quiet --all "oci-archive:$release/cinnabar-$version-image.tar" "dir:$work/all"
  node -p "require('$work/all/manifest.json').manifests.map(({ platform }) => platform.architecture).join(' ')" |
    grep -q '^amd64 arm64$'
}
step 'the image for several architectures' several
step 'the image for amd64' image amd64
contained() {
  SMOKE_DATA=/data sh scripts/release/smoke.sh dist/cinnabar unshare --mount sh scripts/release/in-image.sh \
    "$work/root-amd64" "$work/data-amd64" 65534 /usr/bin/cinnabar
}
step 'linux-x64: the image, read-only, as user 65534' contained
step 'the image for arm64' image arm64
step 'linux-arm64: the executable of the image, under qemu' sh scripts/release/smoke.sh dist/cinnabar \
  qemu-aarch64-static -L "$work/root-arm64" "$work/root-arm64/usr/bin/cinnabar"

# Debian has musl 1.2.5 from 13 on, and no libstdc++ for it; wheels of numpy carry one.
musl() { # architecture of Debian, of Python, of this project
  "$bun" scripts/release/musl-root.ts "$1" "$2" "$work/musl-$1"
  cp "$release/cinnabar-$version-linux-$3-musl" "$work/musl-$1/usr/bin/cinnabar"
}
musl_x64() {
  musl amd64 x86_64 x64
  mkdir "$work/musl-data"
  chown 65534:65534 "$work/musl-data"
  SMOKE_DATA=/data sh scripts/release/smoke.sh dist/cinnabar unshare --mount sh scripts/release/in-image.sh \
    "$work/musl-amd64" "$work/musl-data" 65534 /usr/bin/cinnabar
}
musl_arm64() {
  musl arm64 aarch64 arm64
  sh scripts/release/smoke.sh dist/cinnabar \
    qemu-aarch64-static -L "$work/musl-arm64" "$work/musl-arm64/usr/bin/cinnabar"
}
if command -v python3 >/dev/null 2>&1 && python3 -m pip --version >/dev/null 2>&1; then
  step 'linux-x64-musl: the executable with musl, read-only, as user 65534' musl_x64
  step 'linux-arm64-musl: the executable with musl, under qemu' musl_arm64
else leave 'the executables for musl: their libstdc++ is fetched by pip, which is not here'; fi

leave 'darwin-x64, darwin-arm64, windows-x64: there is no such machine'
echo "$tried"
[ -z "$failed" ]
