// Locales as libstdc++.a expects them, on top of musl's.
#ifndef _GLIBCXX_CXX_LOCALE_OF_MUSL
#define _GLIBCXX_CXX_LOCALE_OF_MUSL 1

#include <clocale>

#define _GLIBCXX_C_LOCALE_GNU 1
#define _GLIBCXX_NUM_CATEGORIES 6

namespace std _GLIBCXX_VISIBILITY(default) {
_GLIBCXX_BEGIN_NAMESPACE_VERSION

typedef locale_t __c_locale;

// Numbers look the same in each of musl's locales.
inline int __convert_from_v(const __c_locale &, char *__to, const int __size, const char *__format, ...) {
  __builtin_va_list __list;
  __builtin_va_start(__list, __format);
  const int __length = __builtin_vsnprintf(__to, __size, __format, __list);
  __builtin_va_end(__list);
  return __length;
}

_GLIBCXX_END_NAMESPACE_VERSION
} // namespace std

#endif
