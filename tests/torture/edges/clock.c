/* Shifts what the wall clock shows by the nanoseconds in the file named by EDGE_CLOCK, which may change at any time. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;

__attribute__((constructor)) static void look_up(void)
{
    const char *path = getenv("EDGE_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED)
        offset = page;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (failed || !offset || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return failed;
    int64_t nanoseconds = now->tv_sec * INT64_C(1000000000) + now->tv_nsec + *offset;
    now->tv_sec = nanoseconds / INT64_C(1000000000);
    now->tv_nsec = nanoseconds % INT64_C(1000000000);
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec shown;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &shown))
        return -1;
    now->tv_sec = shown.tv_sec;
    now->tv_usec = shown.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *seconds)
{
    struct timespec shown;
    clock_gettime(CLOCK_REALTIME, &shown);
    if (seconds)
        *seconds = shown.tv_sec;
    return shown.tv_sec;
}
