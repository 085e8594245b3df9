// The bits in the ctype tables. libstdc++.a was compiled with glibc's bits, and musl's tables use the same ones.
#ifndef _GLIBCXX_CTYPE_BASE_OF_MUSL
#define _GLIBCXX_CTYPE_BASE_OF_MUSL 1

namespace std _GLIBCXX_VISIBILITY(default) {
_GLIBCXX_BEGIN_NAMESPACE_VERSION

struct ctype_base {
  typedef const int *__to_type;
  typedef unsigned short mask;
  static const mask upper = 0x100;
  static const mask lower = 0x200;
  static const mask alpha = 0x400;
  static const mask digit = 0x800;
  static const mask xdigit = 0x1000;
  static const mask space = 0x2000;
  static const mask print = 0x4000;
  static const mask cntrl = 0x2;
  static const mask punct = 0x4;
  static const mask alnum = alpha | digit;
  static const mask graph = alnum | punct;
#if __cplusplus >= 201103L
  static const mask blank = 0x1;
#endif
};

_GLIBCXX_END_NAMESPACE_VERSION
} // namespace std

#endif
