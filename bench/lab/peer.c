/* The host's end of the network benchmark: 9001 takes a stream and closes at its end, 9002 sends one, 9003 echoes bytes.
 * With an argument, that is a Unix socket's path to take streams on too, as 9001 does. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STREAM (64UL * 1024 * 1024)

static char buffer[128 * 1024];

static void serve(int family, void *at, socklen_t size, void (*work)(int))
{
	int one = 1, listener = socket(family, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, at, size) || listen(listener, 4))
		exit(1);
	if (fork())
		return;
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

static void serve_port(int port, void (*work)(int))
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	serve(AF_INET, &at, sizeof(at), work);
}

int main(int argc, char **argv)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	serve_port(9001, take);
	serve_port(9002, give);
	serve_port(9003, echo);
	if (argc > 1) {
		strncpy(at.sun_path, argv[1], sizeof(at.sun_path) - 1);
		serve(AF_UNIX, &at, sizeof(at), take);
	}
	pause();
}
