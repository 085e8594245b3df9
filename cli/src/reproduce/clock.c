// A clock that is a day and an hour ahead, for programs that are started with this library in LD_PRELOAD. It calls the kernel
// directly: libfaketime looks up libc's functions first, and hangs in programs with their own allocator, such as rustc.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { AHEAD = 25 * 60 * 60 };

int clock_gettime(clockid_t clock, struct timespec *now) {
  int status = syscall(SYS_clock_gettime, clock, now);
  if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    now->tv_sec += AHEAD;
  return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  int status = syscall(SYS_gettimeofday, now, zone);
  if (status == 0)
    now->tv_sec += AHEAD;
  return status;
}

time_t time(time_t *now) {
  struct timespec clock;
  clock_gettime(CLOCK_REALTIME, &clock);
  if (now)
    *now = clock.tv_sec;
  return clock.tv_sec;
}
