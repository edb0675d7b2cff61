/* A disk that is full, or that fails, while a file of that name lies in the folder FAULTS names: preloaded into a node,
 * it fails the writes ("full": ENOSPC) or the syncs ("broken": EIO) of database files only. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int faulty(int fd, const char *fault) {
    char path[4096], link[64], name[4096];
    const char *folder = getenv("FAULTS");
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "", fault);
    if (!folder || access(path, F_OK) != 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    return strstr(name, ".db") != NULL;
}

#define WRITE(name, offset_type)                                                             \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) {                \
        ssize_t (*real)(int, const void *, size_t, offset_type) = dlsym(RTLD_NEXT, #name);   \
        if (faulty(fd, "full")) { errno = ENOSPC; return -1; }                               \
        return real(fd, data, size, offset);                                                 \
    }
WRITE(pwrite, off_t)
WRITE(pwrite64, off64_t)

#define SYNC(name)                                                                           \
    int name(int fd) {                                                                       \
        int (*real)(int) = dlsym(RTLD_NEXT, #name);                                          \
        if (faulty(fd, "broken")) { errno = EIO; return -1; }                                \
        return real(fd);                                                                     \
    }
SYNC(fsync)
SYNC(fdatasync)
