#!/bin/sh
# packages.sh [TOOL...]: installs compilers, what the recipes need, and the given tools (cmake, nasm, pkg-config, libclang) in a
# base image with dnf, yum, apt or apk. Installs nothing if nothing is missing.
set -eu

rpms="gcc gcc-c++ libstdc++-static make binutils tar gzip findutils patch kernel-headers perl-interpreter perl-lib perl-FindBin
  perl-IPC-Cmd perl-Time-Piece perl-File-Compare perl-File-Copy perl-File-Path perl-Data-Dumper perl-Getopt-Long perl-Getopt-Std
  perl-Pod-Html perl-Pod-Usage"
debs="gcc g++ libc6-dev linux-libc-dev make binutils tar gzip findutils patch perl"
apks="gcc g++ musl-dev linux-headers make binutils tar gzip findutils patch perl"
for tool; do
  case $tool in
    cmake) rpms="$rpms cmake" debs="$debs cmake" apks="$apks cmake" ;;
    nasm) rpms="$rpms nasm" debs="$debs nasm" apks="$apks nasm" ;;
    pkg-config) rpms="$rpms pkgconf-pkg-config" debs="$debs pkg-config" apks="$apks pkgconf" ;;
    libclang) rpms="$rpms clang-devel" debs="$debs libclang1" apks="$apks clang-dev" ;;
    *) echo "packages.sh: unknown tool $tool; expected cmake, nasm, pkg-config or libclang" >&2 && exit 1 ;;
  esac
done

has_libclang() {
  for library in /usr/lib*/libclang*.so* /usr/lib/*/libclang*.so* /usr/lib/llvm*/lib/libclang*.so*; do
    [ ! -f "$library" ] || return 0
  done
  return 1
}

# Prints what is missing: programs, tools, Perl modules, and the static C++ library, which is in a separate package.
lacks() {
  for program in gcc g++ make perl strip tar gzip find patch "$@"; do
    case $program in
      libclang) has_libclang ;;
      *) command -v "$program" >/dev/null ;;
    esac || printf ' %s' "$program"
  done
  for module in lib FindBin IPC::Cmd Time::Piece File::Compare File::Copy File::Path Data::Dumper Getopt::Long Getopt::Std \
    Pod::Usage; do
    perl -M"$module" -e 1 2>/dev/null || printf ' %s' "$module"
  done
  [ -f "$(g++ -print-file-name=libstdc++.a 2>/dev/null)" ] || printf ' libstdc++.a'
}
missing=$(lacks "$@")
[ -n "$missing" ] || exit 0
echo "installing:$missing"

# shellcheck disable=SC2086 # lists of words
if command -v dnf >/dev/null; then
  # Use the base image's own release, so that everyone gets the same packages.
  release=$(rpm -q --queryformat '%{version}' system-release 2>/dev/null) || release=
  dnf install -y ${release:+"--releasever=$release"} --setopt=install_weak_deps=False $rpms
  [ -z "$release" ] || [ "$(rpm -q --queryformat '%{version}' system-release)" = "$release" ]
elif command -v yum >/dev/null; then
  yum install -y $rpms
elif command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  # libclang looks for the headers of its own version.
  case $debs in
    *libclang1*) debs="$debs $(apt-cache depends libclang1 | sed -n 's/.*Depends: libclang1-\([0-9]*\).*/libclang-common-\1-dev/p')" ;;
  esac
  apt-get install -y --no-install-recommends $debs
elif command -v apk >/dev/null; then
  apk add $apks
else
  echo "packages.sh: the base image has none of dnf, yum, apt-get and apk, and lacks:$missing" >&2
  exit 1
fi
missing=$(lacks "$@")
[ -z "$missing" ] || { echo "packages.sh: these are missing, though all packages were installed:$missing" >&2 && exit 1; }
