/* notify: sends its first argument to the datagram socket in NOTIFY_SOCKET, as a service that is ready does; then waits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	if (argc < 2 || !path || strlen(path) >= sizeof to.sun_path) return 2;
	memcpy(to.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sendto(fd, argv[1], strlen(argv[1]), 0, (struct sockaddr *)&to, sizeof to) < 0) {
		perror(path);
		return 1;
	}
	pause();
	return 0;
}
