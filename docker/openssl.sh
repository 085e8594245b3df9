#!/bin/sh
# openssl.sh SOURCE BUILD PREFIX: compiles OpenSSL's static libraries, in BUILD, into PREFIX. SOURCE is an archive or a
# directory, of OpenSSL 1.0.1, 1.1.1, 3.x or 4.x. The compiler is $CC, $AR, $RANLIB and, where
# it leaves debug information, $STRIP; the architecture is $ARCH. What PREFIX holds
# does not depend on where the directories are.
set -eu

source=$1 build=$2 prefix=$3
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}

# The sources are built where they lie, so that every path in the libraries is relative.
mkdir -p "$build"
if [ -d "$source" ]; then
  cp -R "$source/." "$build"
else
  tar -xzf "$source" -C "$build" --strip-components=1
fi
cd "$build"
chmod -R u+w .

# Amazon Linux keeps its certificates in /etc/pki/tls.
set -- --prefix=/usr --openssldir=/etc/pki/tls no-shared no-dso no-ssl3 -fPIC -ffunction-sections -fdata-sections
arm64=linux-aarch64 old=
if grep -q 'define OPENSSL_VERSION_TEXT.*OpenSSL 1\.0\.' crypto/opensslv.h 2>/dev/null; then
  arm64=linux-generic64 old=1
  set -- "$@" no-ssl2 -Ulinux
  # musl has termios.h and no termio.h; `linux` would turn the old one on again.
  sed -i 's/-DTERMIO\b/-DTERMIOS/g' Configure
  # The date of the build: cversion.c does without.
  sed -i '/DATE/d' util/mkbuildinf.pl
else
  # musl has no getcontext, which async needs, and not all headers that engines do. The rest is what no peer of TLS negotiates,
  # or nothing calls in a static program. A release knows some of these names, and rejects the others.
  for feature in apps async aria bf camellia cast cmp comp ct docs ec2m ech engine gost hmac-drbg-kdf idea \
    integrity-only-ciphers krb5kdf legacy md4 mdc2 module multiblock nextprotoneg pvkkdf quic rc2 rc4 rfc3779 \
    secure-memory seed siphash slh-dsa sm2 sm3 sm4 snmpkdf srp srtpkdf sshkdf tests thread-pool ts ui-console whirlpool; do
    if grep -q "^ *\"$feature\",$" Configure; then
      set -- "$@" "no-$feature"
    fi
  done
  # Code for AVX-512 alone, 700 kB. AES-NI, SHA-NI and AVX2 stay.
  find crypto -name '*-avx512.pl' -o -name '*-avxifma.pl' | while read -r file; do
    sed 's/^if (.avx[a-z0-9]*\(>0\)*)/if (0)/' "$file" >avx512.pl
    cp avx512.pl "$file"
  done
  # The fast parts are in assembly language. Nothing is unwound through C.
  set -- "$@" -Os -fno-unwind-tables -fno-asynchronous-unwind-tables
  set -- "$@" --libdir=lib
fi
case ${ARCH:?} in
  x86_64) platform=linux-x86_64 baseline=x86-64 ;;
  arm64) platform=$arm64 baseline=armv8-a ;;
  *) echo "openssl.sh: ARCH=$ARCH: expected x86_64 or arm64" >&2 && exit 1 ;;
esac
# For every processor of the architecture, whatever gcc is configured for. zig has that in its -target.
case $CC in
  *" -target "*) ;;
  *) set -- "$@" "-march=$baseline" ;;
esac

# 1970: newer releases take the date of the build from here.
export SOURCE_DATE_EPOCH=0
perl ./Configure "$platform" "$@"
if [ -n "$old" ]; then
  # Several directories write one archive, so the objects alone are compiled in parallel, and archived one after the other.
  cat >parallel.mk <<'EOF'
parallel: $(SDIRS:%=parallel-%)
parallel-%: parallel-objects
	$(MAKE) AR=: RANLIB=: SDIRS=$* build_crypto
parallel-objects:
	$(MAKE) AR=: RANLIB=: SDIRS=objects build_libs
EOF
  make -j"$jobs" -f Makefile -f parallel.mk parallel
  rm -f ./*/lib ./*/*/lib # what says that a directory is archived
  jobs=1
fi
make -j"$jobs" build_libs

# Whole or not at all. The headers of 1.0.1 are links into its sources.
mkdir -p "$prefix.part/lib" "$prefix.part/include/openssl"
cp libssl.a libcrypto.a "$prefix.part/lib/"
[ -z "${STRIP-}" ] || $STRIP --strip-debug --enable-deterministic-archives "$prefix.part/lib"/*.a
cp -L include/openssl/*.h "$prefix.part/include/openssl/"
cp LICENSE* "$prefix.part/LICENSE.openssl"
chmod -R u=rwX,go=rX "$prefix.part"
mv "$prefix.part" "$prefix"
