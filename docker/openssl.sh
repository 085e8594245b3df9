#!/bin/sh
# openssl.sh SOURCE BUILD PREFIX: compiles OpenSSL's static libraries from the folder SOURCE, in BUILD, into PREFIX.
# The compiler is $CC, $AR and $RANLIB, the architecture $ARCH. PREFIX does not depend on where the folders are.
set -eu

source=$1 build=$2 prefix=$3

case ${ARCH:?} in
  x86_64) platform=linux-x86_64 ;;
  arm64) platform=linux-aarch64 ;;
  *) echo "openssl.sh: ARCH=$ARCH: expected x86_64 or arm64" >&2 && exit 1 ;;
esac

# The sources are built where they lie, so that every path in the libraries is relative.
cp -R "$source" "$build"
cd "$build"
chmod -R u+w .

# 1970: without it the date of the build is in the libraries.
export SOURCE_DATE_EPOCH=0

# Where Amazon Linux keeps its certificates: /etc/pki/tls. What is left out, a TLS client never calls; musl has no
# getcontext for async, and its headers no linux/version.h for engines.
perl ./Configure "$platform" --prefix=/usr --libdir=lib --openssldir=/etc/pki/tls \
  no-shared no-module no-dso no-engine no-async no-secure-memory \
  no-tests no-apps no-docs no-comp no-legacy no-ssl3 \
  no-camellia no-idea no-seed no-quic no-cmp no-ts no-slh-dsa \
  -fPIC -ffunction-sections -fdata-sections

make -j"${JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}" build_libs

# Whole or not at all.
mkdir -p "$prefix.part/lib" "$prefix.part/include/openssl"
cp libssl.a libcrypto.a "$prefix.part/lib/"
cp include/openssl/*.h "$prefix.part/include/openssl/"
cp LICENSE.txt "$prefix.part/"
chmod -R u=rwX,go=rX "$prefix.part"
mv "$prefix.part" "$prefix"
