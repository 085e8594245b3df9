// What libstdc++ needs to know about the system, which is musl.
#ifndef _GLIBCXX_OS_DEFINES
#define _GLIBCXX_OS_DEFINES 1

#include <features.h>

// Threads are always available, and each of them has an id.
#define _GLIBCXX_GTHREAD_USE_WEAK 0
#define _GLIBCXX_NATIVE_THREAD_ID pthread_self()
// In musl, isinf and isnan are only macros.
#define _GLIBCXX_NO_OBSOLETE_ISINF_ISNAN_DYNAMIC 1

#endif
