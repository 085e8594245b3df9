/* The data that __builtin_cpu_supports and __builtin_cpu_is read. libgcc and clang's builtins contain it, but zig's runtime
 * library does not. The numbers of vendors and features are part of the interface of both compilers:
 * https://gcc.gnu.org/onlinedocs/gcc/x86-Built-in-Functions.html */
#include <cpuid.h>

struct {
  unsigned int vendor, type, subtype, features[1];
} __cpu_model;
unsigned int __cpu_features2[3];

static void set(unsigned int feature) {
  if (feature < 32)
    __cpu_model.features[0] |= 1u << feature;
  else
    __cpu_features2[(feature - 32) / 32] |= 1u << (feature - 32) % 32;
}

struct bit {
  unsigned char bit, feature;
};
#define EACH(bits, word)                                                                           \
  for (unsigned i = 0; i < sizeof bits / sizeof *bits; i++)                                        \
    if ((word) >> bits[i].bit & 1)                                                                 \
      set(bits[i].feature);

/* Bits in the words that cpuid returns, and the features that they indicate. */
static const struct bit edx_1[] = {{15, 0}, {23, 1}, {25, 3}, {26, 4}};
static const struct bit ecx_1[] = {{0, 5},   {1, 19},  {9, 6},   {13, 46}, {19, 7}, {20, 8},
                                   {22, 58}, {23, 2},  {25, 18}, {26, 81}, {30, 69}};
static const struct bit ecx_1_avx[] = {{12, 14}, {28, 9}, {29, 49}};
static const struct bit ebx_7[] = {{0, 50}, {3, 16}, {8, 17}, {18, 70}, {19, 40}, {23, 43}, {24, 44}, {29, 74}};
static const struct bit ebx_7_avx[] = {{5, 10}};
static const struct bit ebx_7_avx512[] = {{16, 15}, {17, 22}, {21, 27}, {28, 23}, {30, 21}, {31, 20}};
static const struct bit ecx_7[] = {{8, 32}, {22, 68}};
static const struct bit ecx_7_avx[] = {{9, 78}, {10, 33}};
static const struct bit ecx_7_avx512[] = {{1, 26}, {6, 31}, {11, 34}, {12, 35}, {14, 30}};
static const struct bit edx_7_avx512[] = {{8, 37}};
static const struct bit ecx_81[] = {{0, 54}, {5, 57}, {6, 11}};
static const struct bit ecx_81_avx[] = {{11, 13}, {16, 12}};

/* The levels of the psABI: the features that each level requires in addition to those of the previous one. */
static const unsigned char levels[][9] = {
    {3, 2, 5, 6, 7, 8, 46, 54, 0}, {3, 9, 10, 14, 16, 17, 49, 57, 58}, {3, 15, 20, 21, 22, 23, 3, 3, 3}};

static int has(unsigned int feature) {
  unsigned int word = feature < 32 ? __cpu_model.features[0] : __cpu_features2[(feature - 32) / 32];
  return word >> feature % 32 & 1;
}

int __cpu_indicator_init(void) {
  unsigned int most, eax, ebx, ecx, edx, low = 0, high;
  if (__cpu_model.vendor)
    return 0;
  if (!__get_cpuid(0, &most, &ebx, &ecx, &edx) || most < 1) {
    __cpu_model.vendor = 3;
    return -1;
  }
  unsigned int vendor = ebx == 0x756e6547 ? 1 : ebx == 0x68747541 ? 2 : 3;
  __get_cpuid(1, &eax, &ebx, &ecx, &edx);
  EACH(edx_1, edx)
  EACH(ecx_1, ecx)
  /* Check whether the operating system saves the wider registers. */
  if (ecx >> 27 & 1)
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  int avx = (low & 0x06) == 0x06, avx512 = (low & 0xe6) == 0xe6;
  if (avx)
    EACH(ecx_1_avx, ecx)
  if (most >= 7) {
    __cpuid_count(7, 0, eax, ebx, ecx, edx);
    EACH(ebx_7, ebx)
    EACH(ecx_7, ecx)
    if (avx) {
      EACH(ebx_7_avx, ebx)
      EACH(ecx_7_avx, ecx)
    }
    if (avx512) {
      EACH(ebx_7_avx512, ebx)
      EACH(ecx_7_avx512, ecx)
      EACH(edx_7_avx512, edx)
      if (eax >= 1) {
        __cpuid_count(7, 1, eax, ebx, ecx, edx);
        if (eax >> 5 & 1)
          set(36);
      }
    }
  }
  if (__get_cpuid(0x80000001, &eax, &ebx, &ecx, &edx)) {
    EACH(ecx_81, ecx)
    if (avx)
      EACH(ecx_81_avx, ecx)
  }
  set(95);
  for (unsigned level = 0; level < sizeof levels / sizeof *levels; level++) {
    for (unsigned i = 0; i < sizeof *levels; i++)
      if (!has(levels[level][i]))
        goto end;
    set(96 + level);
  }
end:
  __cpu_model.vendor = vendor;
  return 0;
}

__attribute__((constructor(101))) static void before_main(void) { __cpu_indicator_init(); }
