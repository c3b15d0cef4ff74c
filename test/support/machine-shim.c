/* Preloaded into a hub, so that a test moves the clocks of its machine and holds up its disk. The file that SHIM_CONTROL
   names holds numbers of 64 bits: seconds that the wall clock, the monotonic clock and the uptime are ahead, and whether
   everything that is to be written to the disk waits. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long long *control;

__attribute__((constructor)) static void open_control(void) {
  const char *path = getenv("SHIM_CONTROL");
  int file = path == NULL ? -1 : open(path, O_RDWR);
  if (file >= 0) control = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
}

int clock_gettime(clockid_t id, struct timespec *time) {
  int result = syscall(SYS_clock_gettime, id, time);
  if (control == NULL) return result;
  if (id == CLOCK_REALTIME) time->tv_sec += control[0];
  if (id == CLOCK_MONOTONIC) time->tv_sec += control[1];
  if (id == CLOCK_BOOTTIME) time->tv_sec += control[2];
  return result;
}

int gettimeofday(struct timeval *time, void *zone) {
  int result = syscall(SYS_gettimeofday, time, zone);
  if (control != NULL) time->tv_sec += control[0];
  return result;
}

int sysinfo(struct sysinfo *info) {
  int result = syscall(SYS_sysinfo, info);
  if (control != NULL) info->uptime += control[2];
  return result;
}

static void wait_for_disk(void) {
  while (control != NULL && control[3] != 0) usleep(5000);
}

int fsync(int file) {
  wait_for_disk();
  return syscall(SYS_fsync, file);
}

int fdatasync(int file) {
  wait_for_disk();
  return syscall(SYS_fdatasync, file);
}
