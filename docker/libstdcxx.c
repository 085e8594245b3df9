/* The functions of glibc that a libstdc++.a for glibc needs, and that musl lacks or implements differently. libstdcxx.sh adds
 * this file to a copy of that archive, in which it renames each NAME to lambda_musl_NAME, to avoid conflicts with other
 * definitions of NAME. */
#define _GNU_SOURCE
#include <errno.h>
#include <langinfo.h>
#include <limits.h>
#include <link.h>
#include <locale.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#define OURS(name) lambda_musl_##name

/* Threads may start at any time. */
char OURS(__libc_single_threaded) = 0;

unsigned OURS(arc4random)(void) {
  unsigned number;
  if (getentropy(&number, sizeof number)) abort();
  return number;
}

/* Locales. libstdc++ reads the ctype tables at their offset in glibc's structure, after 13 pointers. The first six pointers
 * are musl's complete structure, so musl's functions accept this structure. */
enum { CATEGORIES = LC_ALL };
struct tables {
  const void *categories[13];
  const unsigned short *classes;
  const int *to_lower, *to_upper;
};

const unsigned short **__ctype_b_loc(void);
const int **__ctype_tolower_loc(void), **__ctype_toupper_loc(void);

/* Every locale here has the formats of the C locale, which would be wrong for most countries. So the name of any other locale is
 * an error, as on a system without that locale. en_US.UTF-8 is the value of LANG on Lambda. */
static const char *known(const char *name) {
  static const char *const utf8[] = {"C.UTF-8", "C.utf8", "en_US.UTF-8", "en_US.utf8"};
  if (!strcmp(name, "C") || !strcmp(name, "POSIX")) return "C";
  for (size_t i = 0; i < sizeof utf8 / sizeof *utf8; i++)
    if (!strcmp(name, utf8[i])) return utf8[0];
  return 0;
}

struct tables *OURS(__newlocale)(int mask, const char *name, struct tables *tables) {
  name = known(name);
  if (!name) return errno = ENOENT, (struct tables *)0;
  const void *const *musls = (const void *const *)newlocale(LC_ALL_MASK, name, 0);
  if (!tables) {
    tables = calloc(1, sizeof *tables);
    if (!tables) return 0;
    tables->classes = *__ctype_b_loc();
    tables->to_lower = *__ctype_tolower_loc();
    tables->to_upper = *__ctype_toupper_loc();
  }
  for (int i = 0; i < CATEGORIES; i++)
    if (mask & (1 << i | 1 << LC_ALL)) tables->categories[i] = musls[i];
  return tables;
}

struct tables *OURS(__duplocale)(struct tables *old) {
  struct tables *tables = malloc(sizeof *tables);
  if (tables) *tables = *old;
  return tables;
}

void OURS(__freelocale)(struct tables *tables) { free(tables); }

/* Items that only glibc has: wide characters, wide strings and the monetary values of localeconv. */
static wchar_t wide[ERA_T_FMT - ABDAY_1 + 1][32];

static void widen(void) {
  for (int i = 0; i <= ERA_T_FMT - ABDAY_1; i++) {
    const char *text = nl_langinfo_l(ABDAY_1 + i, newlocale(LC_ALL_MASK, "C", 0));
    for (int j = 0; j < 31 && text[j]; j++) wide[i][j] = text[j];
  }
}

void *OURS(__nl_langinfo_l)(nl_item item, struct tables *tables) {
  enum { NUMERIC_POINT = 0x10003, NUMERIC_SEPARATOR, MONEY = 0x40000, MONEY_DIGITS = 0x40007, MONEY_LAST = 0x40015,
         MONEY_POINT = 0x4002b, MONEY_SEPARATOR, WIDE = 0x20034, WIDE_ERA = 0x20060, WIDE_LAST = 0x20064 };
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  static char unknown[] = {CHAR_MAX, 0};
  if (item == NUMERIC_POINT || item == MONEY_POINT) return (void *)L'.';
  if (item == NUMERIC_SEPARATOR || item == MONEY_SEPARATOR) return (void *)L'\0';
  if (item >= MONEY_DIGITS && item <= MONEY_LAST) return unknown;
  if (item < WIDE || item > WIDE_LAST) return nl_langinfo_l(item, (locale_t)tables);
  pthread_once(&once, widen);
  return wide[item - WIDE - (item >= WIDE_ERA ? -1 : 0)];
}

/* Destructors of thread_local variables run in reverse order when their thread ends. */
struct destructor {
  struct destructor *next;
  void (*call)(void *);
  void *object;
};
static pthread_key_t destructors;

static void call_destructors(void *list) {
  struct destructor *first = list;
  do {
    /* If this destructor registers another one, the new one runs next. */
    pthread_setspecific(destructors, first->next);
    first->call(first->object);
    free(first);
  } while ((first = pthread_getspecific(destructors)));
}

/* Calls the destructors of the main thread, which usually ends with the program and not as a thread. */
static void at_exit(void) {
  void *list = pthread_getspecific(destructors);
  if (list) call_destructors(list);
}

static void make_key(void) {
  if (pthread_key_create(&destructors, call_destructors) || atexit(at_exit)) abort();
}

int OURS(__cxa_thread_atexit_impl)(void (*call)(void *), void *object, void *library) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  struct destructor *first = malloc(sizeof *first);
  (void)library;
  pthread_once(&once, make_key);
  if (!first) return -1;
  *first = (struct destructor){pthread_getspecific(destructors), call, object};
  return pthread_setspecific(destructors, first);
}

/* With this function, libgcc_eh of gcc 12 and later finds the unwind tables for an address. */
struct found {
  unsigned long long flags;
  void *start, *end, *library, *tables;
  unsigned long long reserved[7];
};
struct search {
  char *address;
  struct found *found;
};

static int search(struct dl_phdr_info *info, size_t size, void *argument) {
  struct search *search = argument;
  void *tables = 0;
  int is_here = 0;
  (void)size;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    char *start = (char *)info->dlpi_addr + part->p_vaddr;
    if (part->p_type == PT_GNU_EH_FRAME) tables = start;
    if (part->p_type != PT_LOAD || search->address < start || search->address >= start + part->p_memsz) continue;
    is_here = 1;
    *search->found = (struct found){.start = start, .end = start + part->p_memsz};
  }
  search->found->tables = tables;
  return is_here && tables;
}

int OURS(_dl_find_object)(void *address, struct found *found) {
  return dl_iterate_phdr(search, &(struct search){address, found}) ? 0 : -1;
}

/* Some distributions compile with -D_FORTIFY_SOURCE. Only the functions that take a format need a definition here: in place of
 * the others, libstdcxx.sh uses musl's unchecked functions, which ignore the extra last argument. */
int OURS(__vsnprintf_chk)(char *to, size_t most, int flag, size_t size, const char *format, va_list list) {
  (void)flag;
  if (most > size) abort();
  return vsnprintf(to, most, format, list);
}

int OURS(__snprintf_chk)(char *to, size_t most, int flag, size_t size, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int length = OURS(__vsnprintf_chk)(to, most, flag, size, format, list);
  va_end(list);
  return length;
}

int OURS(__sprintf_chk)(char *to, int flag, size_t size, const char *format, ...) {
  va_list list;
  (void)flag;
  va_start(list, format);
  int length = vsnprintf(to, size > INT_MAX ? INT_MAX : size, format, list);
  va_end(list);
  if (length >= 0 && (size_t)length >= size) abort();
  return length;
}

int OURS(__fprintf_chk)(FILE *to, int flag, const char *format, ...) {
  va_list list;
  (void)flag;
  va_start(list, format);
  int length = vfprintf(to, format, list);
  va_end(list);
  return length;
}
