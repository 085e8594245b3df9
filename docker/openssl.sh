#!/bin/sh
# openssl.sh SOURCE BUILD PREFIX: compiles OpenSSL's static libraries in BUILD, and installs them in PREFIX. SOURCE is an archive
# or a directory of OpenSSL 1.0.1, 1.1.1, 3.x or 4.x. The tools are $CC, $AR, $RANLIB and, if the compiler leaves debug
# information, $STRIP; the architecture is $ARCH, by default this machine's. The contents of PREFIX do not depend on these paths.
set -eu

source=$1 build=$2 prefix=$3
jobs=${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}

# Compile in the directory of the sources, so that every path in the libraries is relative.
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
  # The reasons for leaving out features are the same as for the newer releases below.
  set -- "$@" no-ssl2 -Ulinux no-bf no-camellia no-cast no-cms no-ec2m no-engine no-gost no-heartbeats no-hw no-idea no-md4 \
    no-mdc2 no-rc2 no-rc4 no-seed no-srp no-whirlpool
  # A build from scratch does not need the Makefiles' lists of headers, and without these features some headers do not exist.
  find . -name Makefile -exec sed -i '/^# DO NOT DELETE THIS LINE/,$d' {} +
  # musl has termios.h but not termio.h, which the `linux` macro would enable again.
  sed -i 's/-DTERMIO\b/-DTERMIOS/g' Configure
  # Remove the build date, which cversion.c does not need.
  sed -i '/DATE/d' util/mkbuildinf.pl
else
  # musl lacks getcontext, which async needs, and some of the headers that engines need. The other features are those that no
  # TLS peer negotiates, or that nothing calls in a static program. Each release knows only some of these names and rejects the rest.
  for feature in apps async aria bf camellia cast cmp comp ct docs ec2m ech engine gost hmac-drbg-kdf idea \
    integrity-only-ciphers krb5kdf legacy md4 mdc2 module multiblock nextprotoneg pvkkdf quic rc2 rc4 rfc3779 \
    secure-memory seed siphash slh-dsa sm2 sm3 sm4 snmpkdf srp srtpkdf sshkdf tests thread-pool ts ui-console whirlpool; do
    if grep -q "^ *\"$feature\",$" Configure; then
      set -- "$@" "no-$feature"
    fi
  done
  # Leave out the code for AVX-512, which is 700 kB. The code for AES-NI, SHA-NI and AVX2 remains.
  find crypto -name '*-avx512.pl' -o -name '*-avxifma.pl' | while read -r file; do
    sed 's/^if (.avx[a-z0-9]*\(>0\)*)/if (0)/' "$file" >avx512.pl
    cp avx512.pl "$file"
  done
  # Optimize for size, because the fast parts are in assembly language. Omit unwind tables, because nothing unwinds through C.
  set -- "$@" -Os -fno-unwind-tables -fno-asynchronous-unwind-tables
  set -- "$@" --libdir=lib
fi
case ${ARCH:-$(uname -m)} in
  x86_64) platform=linux-x86_64 baseline=x86-64 ;;
  arm64 | aarch64) platform=$arm64 baseline=armv8-a ;;
  *) echo "openssl.sh: ARCH=$ARCH: expected x86_64 or arm64" >&2 && exit 1 ;;
esac
# Compile for every processor of the architecture, whatever gcc is configured for. With zig, -target does that.
case $CC in
  *" -target "*) ;;
  *) set -- "$@" "-march=$baseline" ;;
esac

# With this variable, newer releases use the start of 1970 as the build date.
export SOURCE_DATE_EPOCH=0
perl ./Configure "$platform" "$@"
if [ -n "$old" ]; then
  # Several directories write to the same archive, so only the objects are compiled in parallel; they are archived one by one.
  cat >parallel.mk <<'EOF'
parallel: $(SDIRS:%=parallel-%)
parallel-%: parallel-objects
	$(MAKE) AR=: RANLIB=: SDIRS=$* build_crypto
parallel-objects:
	$(MAKE) AR=: RANLIB=: SDIRS=objects build_libs
EOF
  make -j"$jobs" -f Makefile -f parallel.mk parallel
  rm -f ./*/lib ./*/*/lib # the files that mark a directory as archived
  jobs=1
fi
# In the old release, ar already writes the index of each archive. Running ranlib after every directory would only rewrite the same
# archives.
make -j"$jobs" ${old:+RANLIB=:} build_libs

# Create the prefix completely or not at all. The headers of 1.0.1 are links to its sources.
mkdir -p "$prefix.part/lib" "$prefix.part/include/openssl"
cp libssl.a libcrypto.a "$prefix.part/lib/"
[ -z "${STRIP-}" ] || $STRIP --strip-debug --enable-deterministic-archives "$prefix.part/lib"/*.a
cp -L include/openssl/*.h "$prefix.part/include/openssl/"
cp LICENSE* "$prefix.part/LICENSE.openssl"
chmod -R u=rwX,go=rX "$prefix.part"
mv "$prefix.part" "$prefix"
