/* PID 1 of the benchmark guests: measures one thing by the guest's own clock, prints it, reboots.
 * The kernel command line says what, as an argument to init: boot | blk | fs | net | vsock | wait. No libc, so that it costs nothing. */
#include <linux/aio_abi.h>
#include <linux/in.h>
#include <linux/time.h>
#include <stddef.h>

#define NR_read 0
#define NR_write 1
#define NR_open 2
#define NR_close 3
#define NR_ioctl 16
#define NR_pause 34
#define NR_socket 41
#define NR_connect 42
#define NR_shutdown 48
#define NR_setsockopt 54
#define NR_mkdir 83
#define NR_mknod 133
#define NR_mount 165
#define NR_reboot 169
#define NR_io_setup 206
#define NR_io_getevents 208
#define NR_io_submit 209
#define NR_clock_gettime 228
#define NR_pread64 17
#define NR_pwrite64 18
#define NR_fsync 74
#define O_RDWR 2
#define O_DIRECT 040000

static long call(long nr, long a, long b, long c, long d, long e)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return ret;
}

void *memset(void *p, int c, size_t n)
{
	char *q = p;
	while (n--)
		*q++ = (char)c;
	return p;
}

static int out;

static void text(const char *s)
{
	long n = 0;
	while (s[n])
		n++;
	call(NR_write, out, (long)s, n, 0, 0);
}

static void number(unsigned long v)
{
	char digits[24];
	int i = sizeof(digits) - 1;
	digits[i] = 0;
	do
		digits[--i] = (char)('0' + v % 10);
	while (v /= 10);
	text(digits + i);
}

static unsigned long now_us(int clock)
{
	struct __kernel_timespec t;
	call(NR_clock_gettime, clock, (long)&t, 0, 0, 0);
	return (unsigned long)t.tv_sec * 1000000 + (unsigned long)t.tv_nsec / 1000;
}

static void result(const char *name, unsigned long us)
{
	text("RESULT ");
	text(name);
	text(" ");
	number(us);
	text("\n");
}

static void fail(const char *what)
{
	text("FAILED ");
	text(what);
	text("\n");
}

#define MIB (1024UL * 1024)
#define DISK (256 * MIB)
#define CHUNK (128 * 1024UL)
#define DEPTH 32
#define RANDOM_READS 8192
#define OPENS 2000

static char buffer[DEPTH * 4096 > CHUNK ? DEPTH * 4096 : CHUNK] __attribute__((aligned(4096)));

static void sequential(int fd, long nr, const char *name)
{
	unsigned long start = now_us(1);
	for (unsigned long at = 0; at < DISK; at += CHUNK)
		if (call(nr, fd, (long)buffer, CHUNK, (long)at, 0) != (long)CHUNK)
			return fail(name);
	if (nr == NR_pwrite64)
		call(NR_fsync, fd, 0, 0, 0, 0);
	result(name, now_us(1) - start);
}

static void random_reads(int fd)
{
	static struct iocb cbs[DEPTH];
	struct iocb *one;
	struct io_event events[DEPTH];
	aio_context_t context = 0;
	unsigned int seed = 12345;
	long submitted = 0, done = 0;
	if (call(NR_io_setup, DEPTH, (long)&context, 0, 0, 0))
		return fail("io_setup");
	unsigned long start = now_us(1);
	while (done < RANDOM_READS) {
		long fresh = 0;
		int slots[DEPTH];
		if (submitted == 0) {
			for (fresh = 0; fresh < DEPTH; fresh++)
				slots[fresh] = (int)fresh;
		} else {
			long n = call(NR_io_getevents, (long)context, 1, DEPTH, (long)events, 0);
			if (n <= 0)
				return fail("io_getevents");
			for (long i = 0; i < n; i++) {
				if (events[i].res != 4096)
					return fail("random read");
				slots[fresh++] = (int)events[i].data;
			}
			done += n;
		}
		for (long i = 0; i < fresh && submitted < RANDOM_READS; i++) {
			struct iocb *cb = &cbs[slots[i]];
			seed = seed * 1103515245 + 12345;
			memset(cb, 0, sizeof(*cb));
			cb->aio_fildes = (unsigned)fd;
			cb->aio_lio_opcode = IOCB_CMD_PREAD;
			cb->aio_buf = (unsigned long)(buffer + slots[i] * 4096);
			cb->aio_nbytes = 4096;
			cb->aio_offset = (long long)((seed >> 8) % (DISK / 4096)) * 4096;
			cb->aio_data = (unsigned long)slots[i];
			one = cb;
			if (call(NR_io_submit, (long)context, 1, (long)&one, 0, 0) != 1)
				return fail("io_submit");
			submitted++;
		}
	}
	result("randread", now_us(1) - start);
}

static void blk(void)
{
	/* The block major is dynamic: devtmpfs knows it. */
	call(NR_mkdir, (long)"/d", 0755, 0, 0, 0);
	call(NR_mount, (long)"d", (long)"/d", (long)"devtmpfs", 0, 0);
	int fd = (int)call(NR_open, (long)"/d/vda", O_RDWR | O_DIRECT, 0, 0, 0);
	if (fd < 0)
		return fail("open /dev/vda");
	sequential(fd, NR_pwrite64, "seqwrite");
	sequential(fd, NR_pread64, "seqread");
	random_reads(fd);
}

static void fs(void)
{
	call(NR_mkdir, (long)"/m", 0755, 0, 0, 0);
	if (call(NR_mount, (long)"data", (long)"/m", (long)"virtiofs", 0, 0))
		return fail("mount");
	int fd = (int)call(NR_open, (long)"/m/file", O_RDWR, 0, 0, 0);
	if (fd < 0)
		return fail("open /m/file");
	sequential(fd, NR_pread64, "fsread");
	call(NR_close, fd, 0, 0, 0, 0);

	unsigned long start = now_us(1);
	for (int i = 0; i < OPENS; i++) {
		fd = (int)call(NR_open, (long)"/m/file", O_RDWR, 0, 0, 0);
		if (fd < 0 || call(NR_read, fd, (long)buffer, 4096, 0, 0) != 4096)
			return fail("open and read");
		call(NR_close, fd, 0, 0, 0, 0);
	}
	result("fsopen", now_us(1) - start);
}

#define AF_INET 2
#define AF_VSOCK 40
#define SIOCSIFFLAGS 0x8914
#define SIOCSIFADDR 0x8916
#define STREAM (64 * MIB)
#define ROUND_TRIPS 2000
/* 172.30.0.x, as bench/lab/net.sh has it. */
#define ADDRESS(host) __builtin_bswap32(0xac1e0000u | (host))

static int dial(unsigned short port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = __builtin_bswap16(port), .sin_addr = {ADDRESS(1)}};
	int fd = (int)call(NR_socket, AF_INET, 1, 0, 0, 0), one = 1;
	/* TCP_NODELAY: a byte goes out when it is written. */
	call(NR_setsockopt, fd, IPPROTO_TCP, 1, (long)&one, sizeof(one));
	if (call(NR_connect, fd, (long)&to, sizeof(to), 0, 0))
		fail("connect");
	return fd;
}

/* Until the other end has all and closes, or until it has sent all. */
static void stream(int fd, int sends, const char *name)
{
	unsigned long start = now_us(1), total = 0;
	long n;
	while (sends && total < STREAM) {
		n = call(NR_write, fd, (long)buffer, CHUNK, 0, 0);
		if (n <= 0)
			return fail(name);
		total += (unsigned long)n;
	}
	if (sends)
		call(NR_shutdown, fd, 1, 0, 0, 0);
	while ((n = call(NR_read, fd, (long)buffer, CHUNK, 0, 0)) > 0)
		total += (unsigned long)n;
	if (total != STREAM)
		return fail(name);
	result(name, now_us(1) - start);
	call(NR_close, fd, 0, 0, 0, 0);
}

static void ping_pong(int fd)
{
	unsigned long start = now_us(1);
	for (int i = 0; i < ROUND_TRIPS; i++)
		if (call(NR_write, fd, (long)buffer, 1, 0, 0) != 1 || call(NR_read, fd, (long)buffer, 1, 0, 0) != 1)
			return fail("pingpong");
	result("pingpong", now_us(1) - start);
	/* The host must see the end of it before this guest is gone. */
	call(NR_shutdown, fd, 1, 0, 0, 0);
	while (call(NR_read, fd, (long)buffer, 1, 0, 0) > 0)
		;
}

static void vsock(void)
{
	/* struct sockaddr_vm; the kernel's header of it wants a libc. */
	struct {
		unsigned short family, reserved;
		unsigned int port, cid, zero;
	} host = {.family = AF_VSOCK, .port = 9001, .cid = 2};
	int fd = (int)call(NR_socket, AF_VSOCK, 1, 0, 0, 0);
	if (call(NR_connect, fd, (long)&host, sizeof(host), 0, 0))
		return fail("connect to the host's vsock port");
	stream(fd, 1, "vsocksend");
}

static void net(void)
{
	/* struct ifreq; the kernel's header of it wants a libc. */
	struct {
		char name[16];
		union {
			struct sockaddr_in address;
			short flags;
			char room[24];
		} is;
	} eth = {.name = "eth0", .is.address = {.sin_family = AF_INET, .sin_addr = {ADDRESS(2)}}};
	int fd = (int)call(NR_socket, AF_INET, 2, 0, 0, 0);
	if (call(NR_ioctl, fd, SIOCSIFADDR, (long)&eth, 0, 0))
		return fail("the address of eth0");
	eth.is.flags = 1 /* IFF_UP */;
	if (call(NR_ioctl, fd, SIOCSIFFLAGS, (long)&eth, 0, 0))
		return fail("eth0 up");
	stream(dial(9001), 1, "tcpsend");
	stream(dial(9002), 0, "tcpreceive");
	ping_pong(dial(9003));
}

__attribute__((used)) static void start(long *stack)
{
	long argc = stack[0];
	char **argv = (char **)(stack + 1);
	unsigned long up = now_us(7);
	call(NR_mkdir, (long)"/dev", 0755, 0, 0, 0);
	call(NR_mknod, (long)"/dev/ttyS0", 020600, (4 << 8) | 64, 0, 0);
	out = (int)call(NR_open, (long)"/dev/ttyS0", O_RDWR, 0, 0, 0);
	result("init", up);
	for (long i = 1; i < argc; i++)
		if (argv[i][0] == 'b' && argv[i][1] == 'l')
			blk();
		else if (argv[i][0] == 'f')
			fs();
		else if (argv[i][0] == 'n')
			net();
		else if (argv[i][0] == 'v')
			vsock();
		else if (argv[i][0] == 'w')
			call(NR_pause, 0, 0, 0, 0, 0);
	call(NR_reboot, 0xfee1dead, 672274793, 0x1234567, 0, 0);
	for (;;)
		;
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
