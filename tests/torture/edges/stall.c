/* Makes fsync and fdatasync wait while somebody holds the file named by EDGE_STALL locked for himself.

   A lock and no flag: the kernel wakes whoever waits, and lets go when its holder dies. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

static void wait_while_stalled(void)
{
    const char *path = getenv("EDGE_STALL");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    while (flock(file, LOCK_SH) != 0)
        ;
    close(file);
}

int fdatasync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_while_stalled();
    return real(file);
}

int fsync(int file)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_while_stalled();
    return real(file);
}
