// The types of fstream's buffer. The mutex must be as large as in glibc, for which libstdc++.a was compiled: on arm64, glibc's
// mutex is larger than musl's.
#ifndef _GLIBCXX_CXX_IO_OF_MUSL
#define _GLIBCXX_CXX_IO_OF_MUSL 1

#include <bits/gthr.h>
#include <cstdio>

namespace std _GLIBCXX_VISIBILITY(default) {
_GLIBCXX_BEGIN_NAMESPACE_VERSION

union __c_lock {
  __gthread_mutex_t _M_mutex;
#ifdef __aarch64__
  char _M_size[48];
#else
  char _M_size[40];
#endif
};

typedef FILE __c_file;

_GLIBCXX_END_NAMESPACE_VERSION
} // namespace std

#endif
