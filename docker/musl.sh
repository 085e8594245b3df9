#!/bin/sh
# musl.sh ARCHIVE PATCHES BUILD PREFIX: compiles musl from ARCHIVE, with the patches in the directory PATCHES in the order of
# their names, in BUILD, into PREFIX, with the compiler gcc of this machine.
# PREFIX/bin/musl-gcc compiles and links against it. PREFIX can be moved, and does not depend on where the directories are.
set -eu

archive=$1 build=$3 prefix=$4
here=$(cd "$(dirname "$0")" && pwd)
patches=$(cd "$2" && pwd)
gcc=${GCC:-gcc}

mkdir -p "$build"
tar -xzf "$archive" -C "$build" --strip-components=1
cd "$build"
if ! [ -x configure ] || ! [ -f VERSION ]; then
  echo "musl.sh: the archive of musl does not hold its sources: $archive" >&2
  exit 1
fi
for patch in "$patches"/*; do
  [ ! -f "$patch" ] || patch -p1 -N -i "$patch" || { echo "musl.sh: this patch does not apply: $patch" >&2 && exit 1; }
done

# For every processor of the architecture, whatever gcc is configured for.
case $($gcc -dumpmachine) in
  x86_64-*) baseline=x86-64 ;;
  *) baseline=armv8-a ;;
esac
# Objects for a static-pie are position-independent. The wrapper that musl brings is left out: it cannot link one.
CC=$gcc CFLAGS="-fPIC -g0 -march=$baseline" \
  ./configure --prefix=/ --disable-shared --disable-wrapper --syslibdir=/lib
make -j"${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}"

# Into a directory whose name make can take, whatever that of the prefix is.
make DESTDIR=install install
part=$prefix.part
rm -rf "$part"
cp -R install "$part"
# gcc's assembler notes the directory of the build as debug information.
find "$part/lib" -name '*.[ao]' -exec strip --strip-debug --enable-deterministic-archives {} +

# Headers of the kernel, which musl has not and OpenSSL 1.1.1 and later ask for. gcc knows where this system keeps them.
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
