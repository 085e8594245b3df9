#!/bin/sh
# Installs what compiling needs into a base image that has dnf, yum, apt or apk; nothing where all is there already.
set -eu

for program in gcc make perl strip tar gzip find patch; do
  command -v "$program" >/dev/null || missing="${missing-} $program"
done
for module in lib FindBin IPC::Cmd Time::Piece File::Compare File::Copy Data::Dumper Getopt::Long Getopt::Std; do
  perl -M"$module" -e 1 2>/dev/null || missing="${missing-} $module"
done
[ -n "${missing-}" ] || exit 0
echo "installing:$missing"

rpms="gcc make binutils tar gzip findutils patch kernel-headers perl-interpreter perl-lib perl-FindBin perl-IPC-Cmd
  perl-Time-Piece perl-File-Compare perl-File-Copy perl-Data-Dumper perl-Getopt-Long perl-Getopt-Std perl-Pod-Html"
# shellcheck disable=SC2086 # a list of words
if command -v dnf >/dev/null; then
  # The release that the base itself is of, so that everyone gets the same packages.
  release=$(rpm -q --queryformat '%{version}' system-release 2>/dev/null || true)
  dnf install -y ${release:+"--releasever=$release"} --setopt=install_weak_deps=False $rpms
  [ -z "$release" ] || [ "$(rpm -q --queryformat '%{version}' system-release)" = "$release" ]
elif command -v yum >/dev/null; then
  yum install -y $rpms
elif command -v apt-get >/dev/null; then
  apt-get update
  apt-get install -y --no-install-recommends gcc libc6-dev linux-libc-dev make binutils tar gzip findutils patch perl
elif command -v apk >/dev/null; then
  apk add gcc musl-dev linux-headers make binutils tar gzip findutils patch perl
else
  echo "packages.sh: the base image has none of dnf, yum, apt-get and apk, and lacks:$missing" >&2
  exit 1
fi
