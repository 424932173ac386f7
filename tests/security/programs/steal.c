/* steal: is the caller's terminal within reach? Pushes a character into it (TIOCSTI), and tries to make it its own. */
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void)
{
	char c = '\n';
	if (ioctl(0, TIOCSTI, &c) == 0) puts("pushed");
	if (ioctl(0, TIOCSCTTY, 0) == 0) puts("controlling");
	printf("session %s\n", getsid(0) == getpid() ? "own" : "foreign");
	return 0;
}
