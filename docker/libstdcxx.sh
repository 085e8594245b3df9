#!/bin/sh
# libstdcxx.sh PREFIX: adds C++ to the musl in PREFIX. Creates PREFIX/bin/musl-g++ and PREFIX/lib/libstdc++.a from this
# machine's g++ and its libstdc++.a, which was compiled against glibc. musl has most of glibc's interface; libstdcxx.c contains
# the rest, and the headers in this directory describe the system.
set -eu

prefix=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
gxx=${GXX:-g++}
export LC_ALL=C

# Creates a musl-g++ that reports a problem when it is called, and not earlier, because functions without C++ do not need it.
without() {
  printf '#!/bin/sh\necho "musl-g++: %s" >&2\nexit 1\n' "$1" >"$prefix/bin/musl-g++"
  chmod 755 "$prefix/bin/musl-g++"
  exit 0
}
command -v "$gxx" >/dev/null || without "g++ is missing; install g++ or gcc-c++"
archive=$($gxx -print-file-name=libstdc++.a)
[ -f "$archive" ] || without "g++ has no libstdc++.a; install libstdc++-static"
# Before glibc 2.34, threads were in a separate library that could be missing. A libstdc++.a for such a glibc would find no
# threads in a static program with musl.
symbols=$(nm "$archive" 2>/dev/null)
case $symbols in
  *" w pthread_"*) without "libstdc++.a is for a glibc older than 2.34; use a newer system" ;;
esac

build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
"$prefix/bin/musl-gcc" -std=c99 -O2 -g0 -ffunction-sections -fdata-sections -c "$here/libstdcxx.c" -o "$build/musl.o"
{
  # Functions that libstdcxx.c defines.
  nm --defined-only "$build/musl.o" | sed -n 's/.* lambda_musl_\(.*\)/\1 lambda_musl_\1/p'
  # Functions for which a different name suffices.
  printf '%s\n' "$symbols" | sed -n \
    -e 's/^ *U \(__isoc[0-9]*_\(.*\)\)$/\1 \2/p' \
    -e 's/^ *U \(\([a-z]*\)64\)$/\1 \2/p' \
    -e 's/^ *U \(__\(mem[a-z]*\|str[a-z]*\|wmem[a-z]*\|read\|readlink\|realpath\|getcwd\|poll\)_chk\)$/\1 \2/p' \
    -e 's/.* [TW] \(_ZNSt12__basic_fileIcEC[12]E\)P15pthread_mutex_t$/\1P15pthread_mutex_t \1PSt8__c_lock/p' | sort -u
} >"$build/names"
objcopy --strip-debug --enable-deterministic-archives --redefine-syms="$build/names" "$archive" "$build/libstdc++.a"
ar rcsD "$build/libstdc++.a" "$build/musl.o"
# Programs that are linked without rustc unwind with gcc's library; rustc links its own unwinder.
objcopy --strip-debug --enable-deterministic-archives --redefine-syms="$build/names" \
  "$($gxx -print-file-name=libgcc_eh.a)" "$build/libgcc_eh.a"

mkdir -p "$prefix/include/c++/bits"
for header in c++config.h os_defines.h ctype_base.h c++io.h c++locale.h; do
  cp "$here/$header" "$prefix/include/c++/bits/"
done
headers="-isystem %:getenv(MUSL_PREFIX /include/c++)"
for directory in $($gxx -v -E -x c++ /dev/null 2>&1 | sed -n '/^#include </,/^End/s/^ \(.*c++.*\)$/\1/p'); do
  headers="$headers -isystem $directory"
done
sed -e "s|-nostdinc|-nostdinc $headers|" \
  -e '/^\*libgcc:/{n;s/.*/libgcc.a%s -lgcc_eh -lstdc++ -lc/;}' \
  "$here/musl.specs" >"$prefix/lib/musl-g++.specs"
sed -e 's/{GCC:-gcc}/{GXX:-g++}/' -e 's/musl\.specs/musl-g++.specs/' -e 's/^# gcc/# g++/' "$prefix/bin/musl-gcc" >"$prefix/bin/musl-g++"
chmod 755 "$prefix/bin/musl-g++"
mv "$build/libstdc++.a" "$build/libgcc_eh.a" "$prefix/lib/"
chmod -R u=rwX,go=rX "$prefix"
