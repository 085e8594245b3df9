#include <complex.h>

const char *file(void) { return __FILE__; }
const char *date(void) { return __DATE__ " " __TIME__; }
const char *compiler(void) { return __VERSION__; }
/* The next two functions need the compiler's runtime library: the first uses a variable of it, and the second a function. */
#ifdef __x86_64__
int sse2(void) { return __builtin_cpu_supports("sse2") != 0; }
#else
int sse2(void) { return 1; }
#endif
volatile double x = 2;
double quotient(void) {
  double complex z = x + x * I;
  return creal(z * z * z / (z * z));
}
