// Makes another process's first thread call getppid instead of whatever it calls next. Usage: inject PID.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

int main(int argc, char **argv) {
  pid_t pid = atoi(argv[1]);
  int status;
  if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0) return perror("ptrace"), 1;
  waitpid(pid, &status, __WALL);
  puts("ready");
  fflush(stdout);
  ptrace(PTRACE_SYSCALL, pid, 0, 0);
  while (waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status)) {
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
      struct user_regs_struct registers;
      ptrace(PTRACE_GETREGS, pid, 0, &registers);
      registers.orig_rax = SYS_getppid;
      ptrace(PTRACE_SETREGS, pid, 0, &registers);
      // Detached in the middle of the call: the filter is asked next.
      return ptrace(PTRACE_DETACH, pid, 0, 0) < 0;
    }
    ptrace(PTRACE_SYSCALL, pid, 0, status >> 16 ? 0 : WSTOPSIG(status));
  }
  return 1;
}
