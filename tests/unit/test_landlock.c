/* test_landlock.c: what is not allowed is refused, what is open stays usable. Each in a child: there is no way back. */
#include "sys/landlock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "child.h"
#include "sys/fd.h"

static char top[] = "/tmp/test-landlock-XXXXXX";

static int opens(const char *name, int flags)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", top, name);
	AUTO_FD int fd = open(path, flags | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : 0;
}

static int restricted(void)
{
	Err e = ERR_INIT;
	char seen[256], c;
	if (!landlock_abi()) return CHILD_SKIP;
	snprintf(seen, sizeof seen, "%s/seen", top);
	AUTO_FD int kept = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[256];
	snprintf(path, sizeof path, "%s/hidden", top);
	AUTO_FD int file = open(path, O_RDWR | O_CLOEXEC);
	NEED(kept >= 0 && file >= 0);
	const LandlockRule rules[] = { { seen, LANDLOCK_READ }, { "/no/such/place", LANDLOCK_READ } };
	NEED_OK(landlock_restrict(rules, ARRAY_LEN(rules), true, &e));
	NEED(opens("seen/file", O_RDONLY) == 0);
	NEED(opens("seen/file", O_WRONLY) == -EACCES);
	NEED(opens("seen/new", O_WRONLY | O_CREAT) == -EACCES);
	NEED(opens("hidden", O_RDONLY) == -EACCES);
	NEED(openat(kept, "hidden", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	NEED(pread(file, &c, 1, 0) == 1 && pwrite(file, "y", 1, 0) == 1);
	return 0;
}

static int written(void)
{
	Err e = ERR_INIT;
	char seen[256];
	if (!landlock_abi()) return CHILD_SKIP;
	snprintf(seen, sizeof seen, "%s/seen", top);
	const LandlockRule rules[] = { { seen, LANDLOCK_READ | LANDLOCK_WRITE } };
	NEED_OK(landlock_restrict(rules, 1, true, &e));
	NEED(opens("seen/made", O_WRONLY | O_CREAT | O_TRUNC) == 0);
	NEED(opens("made", O_WRONLY | O_CREAT) == -EACCES);
	return 0;
}

static int tcp_connect(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	AUTO_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ? -errno : 0;
}

static int without_network(void)
{
	Err e = ERR_INIT;
	if (landlock_abi() < 4) return CHILD_SKIP;
	NEED(tcp_connect() != -EACCES);
	NEED_OK(landlock_restrict(NULL, 0, false, &e));
	NEED(tcp_connect() == -EACCES);
	return 0;
}

static int with_network(void)
{
	Err e = ERR_INIT;
	NEED_OK(landlock_restrict(NULL, 0, true, &e));
	NEED(tcp_connect() != -EACCES);
	return 0;
}

static void only_what_a_rule_names_can_be_opened(void **state)
{
	(void)state;
	in_child(restricted);
}

static void writing_needs_its_own_right(void **state)
{
	(void)state;
	in_child(written);
}

static void tcp_can_be_taken_away(void **state)
{
	(void)state;
	in_child(without_network);
	in_child(with_network);
}

static int setup(void **state)
{
	(void)state;
	char path[256];
	if (!mkdtemp(top)) return -1;
	snprintf(path, sizeof path, "%s/seen", top);
	if (mkdir(path, 0755) < 0 || opens("seen/file", O_WRONLY | O_CREAT) < 0) return -1;
	snprintf(path, sizeof path, "%s/hidden", top);
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return fd >= 0 && fd_write_all(fd, "x", 1) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	static const char *const names[] = { "seen/file", "seen/made", "seen", "hidden", "" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[256];
		snprintf(path, sizeof path, "%s/%s", top, names[i]);
		(void)remove(path);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_a_rule_names_can_be_opened),
		cmocka_unit_test(writing_needs_its_own_right),
		cmocka_unit_test(tcp_can_be_taken_away),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
