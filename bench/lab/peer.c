/* The host's end of the network benchmark: 9001 takes a stream and closes at its end, 9002 sends one, 9003 echoes bytes. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAM (64UL * 1024 * 1024)

static char buffer[128 * 1024];

static void serve(int port, void (*work)(int))
{
	if (fork())
		return;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 4))
		exit(1);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			exit(1);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		work(fd);
		close(fd);
	}
}

static void take(int fd)
{
	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
}

static void give(int fd)
{
	unsigned long sent = 0;
	ssize_t n;
	while (sent < STREAM && (n = write(fd, buffer, sizeof(buffer))) > 0)
		sent += (unsigned long)n;
	shutdown(fd, SHUT_WR);
	take(fd);
}

static void echo(int fd)
{
	ssize_t n;
	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		if (write(fd, buffer, (size_t)n) != n)
			break;
}

int main(void)
{
	serve(9001, take);
	serve(9002, give);
	serve(9003, echo);
	pause();
}
