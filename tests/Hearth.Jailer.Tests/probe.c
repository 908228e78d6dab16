// What a monitor that a guest has taken over might try. Each argument behind "try" is one attempt; a line says what came of it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int connect_unix(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static int connect_inet(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&address, sizeof(address));
}

// Touches memory until the kernel has enough of it: the child is killed, or it is not.
static int allocate(long mib) {
  pid_t child = fork();
  if (child == 0) {
    for (long i = 0; i < mib; i++) {
      char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (p == MAP_FAILED) _exit(1);
      memset(p, 1, 1 << 20);
    }
    _exit(0);
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) < 0) return -1;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  errno = ENOMEM;
  return -1;
}

static int fork_many(long count) {
  int result = 0, pipes[2];
  if (pipe(pipes) < 0) return -1;
  for (long i = 0; i < count && result == 0; i++) {
    pid_t child = fork();
    if (child == 0) {
      char c;
      close(pipes[1]);
      (void)!read(pipes[0], &c, 1);
      _exit(0);
    }
    if (child < 0) result = -1;
  }
  int error = errno;
  close(pipes[1]);
  while (wait(NULL) > 0) {}
  errno = error;
  return result;
}

// The old way out of a chroot by who may chroot: to a directory below, and up from outside of it.
static int escape(void) {
  struct stat before, after;
  if (stat("/", &before) < 0) return -1;
  mkdir("below", 0700);
  if (chroot("below") < 0) return -1;
  for (int i = 0; i < 64; i++) (void)!chdir("..");
  (void)!chroot(".");
  if (stat("/", &after) < 0) return -1;
  errno = ENOTDIR;
  return before.st_ino == after.st_ino ? -1 : 0;
}

static void *pages(void) { return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

static long attempt(const char *what, const char *on) {
  if (!strcmp(what, "open")) return open(on, O_RDONLY);
  if (!strcmp(what, "open-rw")) return open(on, O_RDWR);
  if (!strcmp(what, "write")) return open(on, O_WRONLY);
  if (!strcmp(what, "create")) return open(on, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!strcmp(what, "signal")) return kill(atoi(on), SIGURG);
  if (!strcmp(what, "ptrace")) return ptrace(PTRACE_ATTACH, atoi(on), 0, 0);
  if (!strcmp(what, "read-memory")) {
    char byte;
    struct iovec local = {&byte, 1}, remote = {pages(), 1};
    return syscall(SYS_process_vm_readv, atoi(on), &local, 1, &remote, 1, 0);
  }
  if (!strcmp(what, "exec")) return execl(on, on, "-c", "exit 0", NULL);
  if (!strcmp(what, "connect-unix")) return connect_unix(on);
  if (!strcmp(what, "connect-inet")) return connect_inet(atoi(on));
  if (!strcmp(what, "setuid")) return setuid(atoi(on));
  if (!strcmp(what, "setgid")) return setgid(atoi(on));
  if (!strcmp(what, "mount")) return mount("none", on, "tmpfs", 0, NULL);
  if (!strcmp(what, "mknod")) return mknod("/dev/disk", S_IFBLK | 0600, makedev(8, 0));
  if (!strcmp(what, "unshare")) return unshare(atoi(on));
  if (!strcmp(what, "chroot")) return chroot(on);
  if (!strcmp(what, "escape")) return escape();
  if (!strcmp(what, "allocate")) return allocate(atol(on));
  if (!strcmp(what, "fork")) return fork_many(atol(on));
  if (!strcmp(what, "raise-files")) {
    struct rlimit more = {atol(on), atol(on)};
    return setrlimit(RLIMIT_NOFILE, &more);
  }
  errno = ENOSYS;
  return -1;
}

static void facts(void) {
  printf("pid=%d\nuid=%d\neuid=%d\ngid=%d\negid=%d\ngroups=%d\n", getpid(), getuid(), geteuid(), getgid(), getegid(), getgroups(0, NULL));
  printf("sid=%d\nenvironment=%s\n", getsid(0) == getpid(), environ[0] ? environ[0] : "");
  printf("no-new-privileges=%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  int bounding = 0;
  for (int i = 0; i < 64; i++) bounding += prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1;
  struct { unsigned version; int pid; } header = {0x20080522, 0};
  struct { unsigned effective, permitted, inheritable; } sets[2];
  syscall(SYS_capget, &header, sets);
  printf("bounding=%d\ncapabilities=%x\n", bounding, sets[0].effective | sets[0].permitted | sets[0].inheritable | sets[1].effective | sets[1].permitted | sets[1].inheritable);
  printf("descriptors=");
  for (int i = 0; i < 1024; i++) if (fcntl(i, F_GETFD) >= 0) printf("%d,", i);
  struct rlimit files, size;
  getrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_FSIZE, &size);
  char directory[256];
  printf("\nfiles=%lu\nsize=%ld\ncwd=%s\nroot=", (unsigned long)files.rlim_max, (long)size.rlim_max, getcwd(directory, sizeof(directory)));
  DIR *root = opendir("/");
  for (struct dirent *entry; root && (entry = readdir(root));) if (entry->d_name[0] != '.') printf("%s,", entry->d_name);
  if (root) closedir(root);
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, NULL, &blocked);
  struct sigaction pipe_action;
  sigaction(SIGPIPE, NULL, &pipe_action);
  printf("\nblocked=%d\nsigpipe=%d\n", !sigisemptyset(&blocked), pipe_action.sa_handler != SIG_DFL);
  struct stat net;
  printf("netns=%lu\n", stat("/netns", &net) == 0 ? (unsigned long)net.st_ino : 0);
}

int main(int argc, char **argv) {
  int i = 1;
  for (; i < argc && strcmp(argv[i], "try"); i++) printf("argument=%s\n", argv[i]);
  facts();
  for (i++; i < argc; i++) {
    char what[256];
    strncpy(what, argv[i], sizeof(what) - 1);
    what[sizeof(what) - 1] = 0;
    char *on = strchr(what, ':');
    if (on) *on++ = 0;
    if (!strcmp(what, "exit")) { fflush(stdout); return atoi(on); }
    if (!strcmp(what, "wait")) { fflush(stdout); if (on) { int fd = open(on, O_WRONLY | O_CREAT, 0600); if (dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || close(fd) < 0) return 1; facts(); fflush(stdout); } pause(); }
    fflush(stdout);
    long result = attempt(what, on ? on : "");
    printf("%s=%s\n", argv[i], result >= 0 ? "done" : strerrorname_np(errno));
  }
  return 0;
}
