/* resolver.c: resolver-test-server [-i] [-o OPTIONS] COMMAND [ARG…]: runs a command where 127.0.0.11 is the resolver of a container, and nothing else is there.
 *   -i  the container's network is internal     -o  the line "options" of its resolv.conf
 *
 * The network is "mynet": web (10.7.0.2, fd07::2), db (10.7.0.3), r1 to r3 with the alias "all", many1 to many60 with the alias "many". Its server is
 * 127.0.0.12, another client of the same resolver, for which example.com is 192.0.2.1 and large.example.com has 60 addresses.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "link/resolver.h"

static void must(bool ok, const char *what)
{
	if (ok) return;
	fprintf(stderr, "resolver-test-server: %s: %s\n", what, strerror(errno));
	exit(125);
}

static NamesMember *add(Names *names, const char *id, const char *alias, const char *network, NamesAddress address, bool internal)
{
	Err e = ERR_INIT;
	NamesMember *m = NULL;
	const char *const all[] = { id, alias };
	const NamesNetwork n = { network, network, address, all, 2 };
	must(names_add(names, &(NamesContainer){ .id = id, .networks = &n, .networks_n = 1, .internal = internal }, &m, &e) == 0, e.msg);
	return m;
}

static NamesAddress v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (NamesAddress){ .v4 = { a, b, c, d }, .has_v4 = true, .v4_bits = 24 };
}

static NamesMember *fill(Names *names, bool internal)
{
	char id[16];
	NamesAddress web = v4(10, 7, 0, 2);
	memcpy(web.v6, (const uint8_t[16]){ 0xfd, 7, [15] = 2 }, 16);
	web.has_v6 = true;
	web.v6_bits = 64;
	(void)add(names, "db", "Base", "mynet", v4(10, 7, 0, 3), false);
	for (uint8_t i = 1; i <= 3; i++) {
		snprintf(id, sizeof id, "r%u", i);
		(void)add(names, id, "all", "mynet", v4(10, 7, 0, 10 + i), false);
	}
	for (uint8_t i = 1; i <= 60; i++) {
		snprintf(id, sizeof id, "many%u", i);
		(void)add(names, id, "many", "mynet", v4(10, 7, 0, 100 + i), false);
		snprintf(id, sizeof id, "large%u", i);
		(void)add(names, id, "large.example.com", "outside", v4(192, 0, 2, 100 + i), false);
	}
	return add(names, "web", "www", "mynet", web, internal);
}

static int bound(int type, const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	must(fd >= 0 && bind(fd, (const struct sockaddr *)at, sizeof *at) == 0 && (type == SOCK_DGRAM || listen(fd, 16) == 0), "bind");
	return fd;
}

static ResolverAddress address(unsigned last)
{
	return (ResolverAddress){ .v4 = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x7f000000 + last) } };
}

static void serve(Resolver *r, const NamesMember *m, unsigned last, const ResolverAddress *server)
{
	Err e = ERR_INIT;
	ResolverClient *c;
	const ResolverAddress at = address(last);
	const ResolverPolicy p = { .member = m, .servers = server, .servers_n = server ? 1 : 0 };
	must(resolver_add(r, &p, bound(SOCK_DGRAM, &at.v4), bound(SOCK_STREAM, &at.v4), &c, &e) == 0, e.msg);
}

static void make_place(const char *options)
{
	struct ifreq up = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	char path[] = "/tmp/resolv.XXXXXX";
	must(unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "namespaces");
	must(ioctl(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), SIOCSIFFLAGS, &up) == 0, "lo");
	const int fd = mkstemp(path);
	must(fd >= 0 && dprintf(fd, "nameserver 127.0.0.11\noptions %s\n", options) > 0, path);
	must(fchmod(fd, 0644) == 0 && mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0 && unlink(path) == 0, "/etc/resolv.conf");
	close(fd);
}

static void ended(void *arg, const siginfo_t *info)
{
	loop_stop(arg, info->si_code == CLD_EXITED ? info->si_status : 124);
}

int main(int argc, char **argv)
{
	Loop l;
	LoopExit watch = { 0 };
	Names *names = NULL;
	Resolver *r = NULL;
	Err e = ERR_INIT;
	bool internal = false;
	const char *options = "ndots:0";
	for (int c; (c = getopt(argc, argv, "+io:")) != -1;) {
		if (c == 'i')
			internal = true;
		else if (c == 'o')
			options = optarg;
		else
			return 125;
	}
	make_place(options);
	must(names_new(&names, &e) == 0, e.msg);
	must(loop_init(&l) == 0, "loop");
	must(resolver_new(&l, names, NULL, &r, &e) == 0, e.msg);
	const ResolverAddress server = address(12);
	serve(r, fill(names, internal), 11, &server);
	serve(r, add(names, "example.com", "example", "outside", v4(192, 0, 2, 1), false), 12, NULL);
	const pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[optind], argv + optind);
		_exit(127);
	}
	must(pid > 0, argv[optind]);
	must(loop_exit_add(&l, &watch, (int)syscall(SYS_pidfd_open, pid, 0), ended, &l) == 0, "pidfd_open");
	const int status = loop_run(&l);
	resolver_free(r);
	names_free(names);
	loop_done(&l);
	return status;
}
