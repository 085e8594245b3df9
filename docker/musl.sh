#!/bin/sh
# musl.sh ARCHIVE PATCHES BUILD PREFIX: compiles musl in BUILD with this machine's gcc, and installs it in PREFIX. The sources
# are in ARCHIVE; the *.patch files in the PATCHES directory are applied in the order of their names. PREFIX/bin/musl-gcc compiles and
# links against this musl. PREFIX can be moved, and its contents do not depend on the paths of the directories.
set -eu

archive=$1 build=$3 prefix=$4
here=$(cd "$(dirname "$0")" && pwd)
patches=$(cd "$2" && pwd)
gcc=${GCC:-gcc}

mkdir -p "$build"
tar -xzf "$archive" -C "$build" --strip-components=1
cd "$build"
if ! [ -x configure ] || ! [ -f VERSION ]; then
  echo "musl.sh: the archive does not contain the sources of musl: $archive" >&2
  exit 1
fi
for patch in "$patches"/*.patch; do
  [ ! -f "$patch" ] || patch -p1 -N -i "$patch" || { echo "musl.sh: this patch does not apply: $patch" >&2 && exit 1; }
done

# Compile for every processor of the architecture, whatever gcc is configured for.
case $($gcc -dumpmachine) in
  x86_64-*) baseline=x86-64 ;;
  *) baseline=armv8-a ;;
esac
# A static-pie needs position-independent objects. musl's own wrapper is left out, because it cannot link a static-pie.
CC=$gcc CFLAGS="-fPIC -g0 -march=$baseline" \
  ./configure --prefix=/ --disable-shared --disable-wrapper --syslibdir=/lib
make -j"${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}"

# Install into a directory with a name that make can handle, because the prefix can have any name.
make DESTDIR=install install
part=$prefix.part
rm -rf "$part"
cp -R install "$part"
# gcc's assembler writes the build directory into debug information.
find "$part/lib" -name '*.[ao]' -exec strip --strip-debug --enable-deterministic-archives {} +

# Kernel headers: musl lacks them, and OpenSSL 1.1.1 and later need them. gcc finds them on this system.
for headers in linux asm asm-generic; do
  header=$(printf '#include <%s>\n' "$headers/types.h" | $gcc -E -M -x c - 2>/dev/null |
    tr -d '\\\n' | tr ' ' '\n' | grep "/$headers/types.h$" | head -n 1) || true
  [ -n "$header" ] || { echo "musl.sh: no kernel headers: $headers/types.h; install linux-libc-dev or kernel-headers" >&2 && exit 1; }
  cp -RL "$(dirname "$header")" "$part/include/"
done

mkdir -p "$part/bin"
cp COPYRIGHT "$part/COPYRIGHT.musl"
cp VERSION "$part/VERSION.musl"
cp "$here/musl.specs" "$part/lib/"
sed "s/ -fPIC / -fPIC -march=$baseline /" "$here/musl-gcc" >"$part/bin/musl-gcc"
chmod 755 "$part/bin/musl-gcc"
chmod -R u=rwX,go=rX "$part"
mv "$part" "$prefix"
