/* test_engine_spec.c: what a container was asked to be, as a runtime specification. */
#include "spec_sample.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "sys/fd.h"

/* A list as one string, its members separated by blanks. */
static const char *joined(const StrList *l, Arena *a)
{
	AUTO_BUF b = BUF_INIT(1 << 20);
	for (size_t i = 0; i < l->n; i++)
		buf_printf(&b, "%s%s", i ? " " : "", l->items[i]);
	const char *s = arena_strdup(a, buf_str(&b));
	assert_non_null(s);
	return s;
}

static const OciMount *mount_at_path(const Sample *s, const char *destination)
{
	for (size_t i = 0; i < s->spec.mounts.n; i++)
		if (streq(s->spec.mounts.items[i].destination, destination)) return &s->spec.mounts.items[i];
	return NULL;
}

static void test_everyday(void **state)
{
	AUTO_SAMPLE s;
	sample_init(
		&s,
		"{'Env':['PATH=/bin','A=1'],'Entrypoint':['/docker-entrypoint.sh'],'Cmd':['nginx','-g'],'WorkingDir':'/srv','Image':'nginx'}",
		"{'NetworkMode':'none'}");
	s.in.dir = "/var/lib/skep/containers/x";
	sample_accept(&s);
	OciProcess *p = s.spec.process;
	assert_string_equal(joined(&p->args, &s.arena), "/docker-entrypoint.sh nginx -g");
	assert_string_equal(joined(&p->env, &s.arena), "PATH=/bin HOSTNAME=0123456789ab A=1");
	assert_string_equal(p->cwd, "/srv");
	assert_false(p->terminal);
	assert_int_equal(p->user.uid, 0);
	assert_string_equal(
		joined(&p->capabilities->bounding, &s.arena),
		"CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_NET_BIND_SERVICE "
		"CAP_SYS_CHROOT CAP_SETFCAP");
	assert_int_equal(p->capabilities->effective.n, 11);
	assert_int_equal(p->capabilities->ambient.n, 0);
	assert_int_equal(p->capabilities->inheritable.n, 0);
	assert_string_equal(s.spec.hostname, "0123456789ab");
	assert_string_equal(s.spec.root->path, "rootfs");
	assert_string_equal(s.spec.lnx->cgroups_path, "/skep/" SAMPLE_ID);
	for (size_t i = 0; i < 5; i++) {
		static const int types[] = { CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWIPC, CLONE_NEWUTS };
		assert_true(oci_is_new(&s.spec, types[i]));
	}
	assert_null(oci_namespace(&s.spec, CLONE_NEWCGROUP)); /* v1 */
	assert_null(oci_namespace(&s.spec, CLONE_NEWUSER));
	assert_string_equal(joined(&mount_at_path(&s, "/dev/shm")->options, &s.arena), "nosuid noexec nodev mode=1777 size=67108864");
	assert_string_equal(mount_at_path(&s, "/etc/hosts")->source, "/var/lib/skep/containers/x/hosts");
	assert_non_null(s.spec.lnx->seccomp);
	assert_int_equal(s.spec.lnx->masked_paths.n, 12);
	assert_int_equal(s.spec.lnx->resources->devices.n, 1);
	assert_false(s.spec.lnx->resources->devices.items[0].allow);
}

/* Accepted, with the documents given. */
#define ACCEPT(s, config, host) \
	do { \
		sample_init(&(s), config, host); \
		sample_accept(&(s)); \
	} while (0)

static void refuse(const char *config, const char *host, const char *error)
{
	AUTO_SAMPLE s;
	sample_init(&s, config, host);
	sample_make(&s);
	if (s.r >= 0) fail_msg("accepted: %s %s", config, host);
	if (!strstr(s.e.msg, error)) fail_msg("\"%s\" does not say \"%s\"", s.e.msg, error);
}

#define RUN "{'Cmd':['a']}"

/* ---- process ---- */

static void test_environment(void **state)
{
	static const struct {
		const char *config, *host, *env;
	} cases[] = {
		{ RUN, "{}", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOSTNAME=0123456789ab" },
		{ "{'Cmd':['a'],'Tty':true,'Hostname':'h'}", "{}",
		  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOSTNAME=h TERM=xterm" },
		{ "{'Cmd':['a'],'Tty':true,'Env':['TERM=vt100','B=2','B=3','PATH=']}", "{}", "PATH= HOSTNAME=0123456789ab TERM=vt100 B=3" },
		{ "{'Cmd':['a'],'Env':['PATH','HOSTNAME','NONE']}", "{}", "" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_SAMPLE s;
		ACCEPT(s, cases[i].config, cases[i].host);
		assert_string_equal(joined(&s.spec.process->env, &s.arena), cases[i].env);
		assert_null(s.spec.process->env.items[s.spec.process->env.n]);
	}
	refuse("{'Cmd':['a'],'Env':['=x']}", "{}", "invalid environment variable: =x");
	refuse("{'Cmd':['a'],'Env':['']}", "{}", "invalid environment variable: ");
}

static void test_program(void **state)
{
	AUTO_SAMPLE s;
	ACCEPT(s, "{'Entrypoint':['/e','x'],'Cmd':['a b','']}", "{}");
	assert_int_equal(s.spec.process->args.n, 4);
	assert_string_equal(s.spec.process->args.items[2], "a b");
	assert_string_equal(s.spec.process->cwd, "/");
	refuse("{}", "{}", "no command specified");
	refuse("{'Cmd':['a'],'WorkingDir':'x'}", "{}", "the working directory 'x' is invalid, it needs to be an absolute path");
}

static void test_terminal(void **state)
{
	AUTO_SAMPLE s;
	AUTO_SAMPLE t;
	ACCEPT(s, "{'Cmd':['a'],'Tty':true}", "{'ConsoleSize':[24,80]}");
	assert_true(s.spec.process->terminal);
	assert_int_equal(s.spec.process->console_size->height, 24);
	assert_int_equal(s.spec.process->console_size->width, 80);
	ACCEPT(t, RUN, "{'ConsoleSize':[24,80]}");
	assert_null(t.spec.process->console_size);
	refuse("{'Cmd':['a'],'Tty':true}", "{'ConsoleSize':[70000,80]}", "invalid console size 70000x80");
}

static void test_init(void **state)
{
	AUTO_SAMPLE s;
	sample_init(&s, RUN, "{'Init':true}");
	s.in.init_program = "/usr/libexec/runtime";
	sample_accept(&s);
	assert_string_equal(joined(&s.spec.process->args, &s.arena), "/sbin/docker-init -- a");
	const OciMount *m = mount_at_path(&s, "/sbin/docker-init");
	assert_string_equal(m->source, "/usr/libexec/runtime");
	assert_string_equal(joined(&m->options, &s.arena), "bind ro nosuid nodev");
	refuse(RUN, "{'Init':true}", "--init: the program for it was not found");
	/* where another init runs */
	AUTO_SAMPLE t;
	ACCEPT(t, RUN, "{'Init':true,'PidMode':'host'}");
	assert_string_equal(joined(&t.spec.process->args, &t.arena), "a");
	assert_null(mount_at_path(&t, "/sbin/docker-init"));
}

static void test_user(void **state)
{
	AUTO_SAMPLE s;
	ACCEPT(s, "{'Cmd':['a'],'User':'1000:1001'}", "{'GroupAdd':['5','1001','6']}");
	const OciUser *u = &s.spec.process->user;
	assert_int_equal(u->uid, 1000);
	assert_int_equal(u->gid, 1001);
	assert_int_equal(u->additional_gids.n, 3);
	assert_int_equal(u->additional_gids.items[2], 6);
	/* another user gets no capability by execve, either */
	assert_int_equal(s.spec.process->capabilities->bounding.n, 11);
	assert_int_equal(s.spec.process->capabilities->effective.n + s.spec.process->capabilities->permitted.n, 0);
	refuse("{'Cmd':['a'],'User':'web'}", "{}", "unable to find user web: no matching entries in passwd file");
	refuse(RUN, "{'GroupAdd':['wheel']}", "unable to find group wheel: no matching entries in group file");
}

static void test_capabilities(void **state)
{
	static const struct {
		const char *host, *set;
	} cases[] = {
		{ "{'CapDrop':['all']}", "" },
		{ "{'CapDrop':['ALL'],'CapAdd':['kill','CAP_CHOWN']}", "CAP_CHOWN CAP_KILL" },
		{ "{'CapDrop':['KILL','chown','Cap_Fowner','setpcap','SETUID','setgid','NET_BIND_SERVICE','sys_chroot','setfcap','fsetid']}",
		  "CAP_DAC_OVERRIDE" },
		{ "{'CapDrop':['ALL','KILL'],'CapAdd':['KILL']}", "CAP_KILL" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_SAMPLE s;
		ACCEPT(s, RUN, cases[i].host);
		assert_string_equal(joined(&s.spec.process->capabilities->bounding, &s.arena), cases[i].set);
		assert_string_equal(joined(&s.spec.process->capabilities->permitted, &s.arena), cases[i].set);
	}
	AUTO_SAMPLE all;
	ACCEPT(all, RUN, "{'CapAdd':['ALL'],'CapDrop':['SYS_ADMIN']}");
	assert_int_equal(all.spec.process->capabilities->bounding.n, 40);
	AUTO_SAMPLE granted;
	sample_init(&granted, RUN, "{'CapAdd':['ALL']}");
	granted.machine.capabilities = 3;
	sample_accept(&granted);
	assert_string_equal(joined(&granted.spec.process->capabilities->bounding, &granted.arena), "CAP_CHOWN CAP_DAC_OVERRIDE");
}

static const Rlimit *limit(const Sample *s, int type)
{
	for (size_t i = 0; i < s->spec.process->rlimits.n; i++)
		if (s->spec.process->rlimits.items[i].type == type) return &s->spec.process->rlimits.items[i];
	return NULL;
}

/* A default never asks for more than is granted; what is asked for holds. */
static void test_limits(void **state)
{
	AUTO_SAMPLE s;
	AUTO_SAMPLE t;
	ACCEPT(s, RUN, "{}");
	assert_int_equal(s.spec.process->rlimits.n, 2);
	sample_init(
		&t, RUN,
		"{'Ulimits':[{'Name':'nofile','Soft':5,'Hard':6},{'Name':'CORE','Soft':-1,'Hard':-1},{'Name':'nofile','Soft':7,'Hard':8}]}");
	sample_accept(&t);
	assert_int_equal(t.spec.process->rlimits.n, 3);
	assert_int_equal(limit(&t, RLIMIT_NOFILE)->soft, 7);
	assert_int_equal(limit(&t, RLIMIT_NOFILE)->hard, 8);
	assert_true(limit(&t, RLIMIT_CORE)->hard == UINT64_MAX);
	AUTO_SAMPLE poor;
	struct rlimit own;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &own), 0);
	sample_init(&poor, RUN, "{}");
	poor.machine.capabilities = 0;
	sample_accept(&poor);
	assert_true(limit(&poor, RLIMIT_NOFILE)->hard <= own.rlim_max && limit(&poor, RLIMIT_NOFILE)->hard <= 1048576);
}

static void test_oom_score(void **state)
{
	static const struct {
		int own;
		bool can;
		const char *host;
		int64_t score; /* -2000: none */
	} cases[] = {
		{ 0, false, "{}", 0 },
		{ 500, true, "{}", 0 },
		{ 500, false, "{}", -2000 },
		{ -500, false, "{}", 0 },
		{ 500, false, "{'OomScoreAdj':700}", 700 },
		{ 0, false, "{'OomScoreAdj':-5}", -5 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_SAMPLE s;
		sample_init(&s, RUN, cases[i].host);
		s.machine.oom_score_adj = cases[i].own;
		if (!cases[i].can) s.machine.capabilities &= ~(UINT64_C(1) << 24);
		sample_accept(&s);
		OptInt score = s.spec.process->oom_score_adj;
		assert_int_equal(score.set ? score.v : -2000, cases[i].score);
	}
}

static void test_security(void **state)
{
	AUTO_SAMPLE s;
	AUTO_SAMPLE t;
	AUTO_SAMPLE u;
	ACCEPT(s, RUN,
	       "{'SecurityOpt':['no-new-privileges','seccomp=unconfined','systempaths=unconfined','apparmor=p','writable-cgroups=true']}");
	assert_true(s.spec.process->no_new_privileges);
	assert_null(s.spec.lnx->seccomp);
	assert_int_equal(s.spec.lnx->masked_paths.n + s.spec.lnx->readonly_paths.n, 0);
	assert_null(s.spec.process->apparmor_profile); /* no such module */
	assert_string_equal(joined(&mount_at_path(&s, "/sys/fs/cgroup")->options, &s.arena), "nosuid noexec nodev rw");
	sample_init(
		&t, RUN,
		"{'SecurityOpt':['label=level:s0:c1,c2','label=type:my_t','apparmor=p','seccomp={\\'defaultAction\\':\\'SCMP_ACT_LOG\\'}']}");
	t.machine.has |= UINT64_C(1) << MACHINE_APPARMOR | UINT64_C(1) << MACHINE_SELINUX;
	sample_accept(&t);
	assert_string_equal(t.spec.process->apparmor_profile, "p");
	assert_string_equal(t.spec.process->selinux_label, "system_u:system_r:my_t:s0:c1,c2");
	assert_string_equal(t.spec.lnx->mount_label, "system_u:object_r:container_file_t:s0:c1,c2");
	assert_int_equal(t.spec.lnx->seccomp->default_action, SECCOMP_LOG);
	sample_init(&u, RUN, "{'SecurityOpt':['label=disable']}");
	u.machine.has |= UINT64_C(1) << MACHINE_SELINUX;
	sample_accept(&u);
	assert_null(u.spec.process->selinux_label);
	refuse(RUN, "{'SecurityOpt':['seccomp={']}", "decoding seccomp profile failed");
}

/* Containers that nobody gave a level are kept apart from one another. */
static void test_own_level(void **state)
{
	static const char *const ids[] = { "00000000", "ffffffff", "00000400", "00000401", "12345678" };
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		AUTO_SAMPLE s;
		unsigned a, b;
		sample_init(&s, RUN, "{}");
		s.machine.has |= UINT64_C(1) << MACHINE_SELINUX;
		s.in.id = ids[i];
		sample_accept(&s);
		assert_int_equal(sscanf(s.spec.process->selinux_label, "system_u:system_r:container_t:s0:c%u,c%u", &a, &b), 2);
		assert_true(a < b && b < 1024);
	}
}

/* ---- namespaces ---- */

static const char *namespaces(const Sample *s, Buf *b)
{
	for (size_t i = 0; i < s->spec.lnx->namespaces.n; i++) {
		const OciNamespace *n = &s->spec.lnx->namespaces.items[i];
		buf_printf(b, "%s%s%s%s", i ? " " : "", bind_name(oci_namespace_names, n->type), n->path ? "=" : "",
			   n->path ? n->path : "");
	}
	return buf_str(b);
}

static void test_namespaces(void **state)
{
	static const struct {
		const char *host, *list;
	} cases[] = {
		{ "{}", "mount network ipc pid uts" },
		{ "{'NetworkMode':'host'}", "mount ipc pid uts" },
		{ "{'NetworkMode':'none','IpcMode':'shareable','PidMode':'private','UTSMode':'private'}", "mount network ipc pid uts" },
		{ "{'NetworkMode':'container:x','IpcMode':'container:x','PidMode':'container:x'}", "mount network=/n ipc=/i pid=/p uts" },
		{ "{'NetworkMode':'ns:/run/netns/x'}", "mount network=/n ipc pid uts" },
		{ "{'NetworkMode':'host','IpcMode':'host','PidMode':'host','UTSMode':'host'}", "mount" },
		{ "{'IpcMode':'none','CgroupnsMode':'private'}", "mount network ipc pid uts cgroup" },
		{ "{'CgroupnsMode':'host'}", "mount network ipc pid uts" },
		{ "{'NetworkMode':'web'}", "mount network ipc pid uts" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_SAMPLE s;
		AUTO_BUF b = BUF_INIT(4096);
		sample_init(&s, RUN, cases[i].host);
		s.in.network_ns = "/n";
		s.in.ipc_ns = "/i";
		s.in.pid_ns = "/p";
		s.in.shm = strstr(cases[i].host, "IpcMode':'container") ? "/s" : NULL;
		sample_accept(&s);
		assert_string_equal(namespaces(&s, &b), cases[i].list);
	}
	refuse(RUN, "{'NetworkMode':'container:web'}", "cannot join the network namespace of web: it is not running");
	refuse(RUN, "{'IpcMode':'container:web'}", "cannot join the ipc namespace of web: it is not running");
	refuse(RUN, "{'PidMode':'container:web'}", "cannot join the pid namespace of web: it is not running");
}

static void test_cgroup2(void **state)
{
	AUTO_SAMPLE s;
	sample_init(&s, RUN, "{}");
	s.machine.has |= UINT64_C(1) << MACHINE_CGROUP2;
	sample_accept(&s);
	assert_true(oci_is_new(&s.spec, CLONE_NEWCGROUP));
}

static void test_names(void **state)
{
	struct utsname here;
	AUTO_SAMPLE s;
	AUTO_SAMPLE t;
	AUTO_SAMPLE u;
	assert_int_equal(uname(&here), 0);
	ACCEPT(s, "{'Cmd':['a'],'Hostname':'h','Domainname':'d.example'}", "{'NetworkMode':'host'}");
	assert_string_equal(s.spec.hostname, "h");
	assert_string_equal(s.spec.domainname, "d.example");
	ACCEPT(t, RUN, "{'NetworkMode':'host'}");
	assert_string_equal(t.spec.hostname, here.nodename);
	ACCEPT(u, RUN, "{'UTSMode':'host'}");
	assert_null(u.spec.hostname);
	assert_null(u.spec.domainname);
	assert_string_equal(u.spec.process->env.items[1] + strlen("HOSTNAME="), here.nodename);
}

static void test_user_namespace(void **state)
{
	IdMapping map = { .container_id = 0, .host_id = 100000, .size = 65536 }, four = { .container_id = 0, .host_id = 100000, .size = 4 };
	AUTO_SAMPLE s;
	sample_init(&s, RUN, "{'NetworkMode':'host','PidMode':'host','IpcMode':'host'}");
	s.in.maps.uids = s.in.maps.gids = (IdMappings){ .items = &map, .n = 1 };
	sample_accept(&s);
	assert_true(oci_is_new(&s.spec, CLONE_NEWUSER));
	assert_int_equal(s.spec.lnx->gid_mappings.items[0].host_id, 100000);
	/* what shows the host's namespaces cannot be mounted by somebody without rights over them */
	static const char *const shown[] = { "/proc", "/sys", "/dev/mqueue", "/dev/shm" };
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		const OciMount *m = mount_at_path(&s, shown[i]);
		assert_string_equal(m->type, "bind");
		assert_string_equal(m->source, shown[i]);
		assert_string_equal(m->options.items[0], "rbind");
	}
	assert_null(str_map_get(&s.spec.lnx->sysctl, "net.ipv4.ping_group_range"));
	AUTO_SAMPLE t;
	sample_init(&t, RUN, "{}");
	t.in.maps.uids = t.in.maps.gids = (IdMappings){ .items = &four, .n = 1 };
	sample_accept(&t);
	assert_string_equal(mount_at_path(&t, "/sys")->type, "sysfs");
	assert_string_equal(joined(&mount_at_path(&t, "/dev/pts")->options, &t.arena), "nosuid noexec newinstance ptmxmode=0666 mode=0620");
	assert_null(str_map_get(&t.spec.lnx->sysctl, "net.ipv4.ping_group_range"));
	assert_string_equal(str_map_get(&t.spec.lnx->sysctl, "net.ipv4.ip_unprivileged_port_start"), "0");
	/* the owners of volumes and of the files of names are the container's; a device of another name is bound */
	MountPoint points[] = { { .type = "volume", .name = "v", .source = "/v", .destination = "/x", .rw = true, .idmap = "" },
				{ .type = "bind", .source = "/b", .destination = "/y", .rw = true } };
	const MountPointList mounts = { points, ARRAY_LEN(points) };
	for (size_t i = 0; i < 2; i++) {
		AUTO_SAMPLE v;
		sample_init(&v, RUN, "{'Devices':[{'PathOnHost':'/dev/null','PathInContainer':'/dev/n2','CgroupPermissions':'r'}]}");
		if (i) v.in.maps.uids = v.in.maps.gids = (IdMappings){ .items = &map, .n = 1 };
		v.in.mounts = &mounts;
		v.in.dir = "/d";
		sample_accept(&v);
		assert_string_equal(joined(&mount_at_path(&v, "/x")->options, &v.arena), i ? "rbind ridmap rprivate" : "rbind rprivate");
		assert_string_equal(joined(&mount_at_path(&v, "/y")->options, &v.arena), "rbind rprivate");
		assert_string_equal(joined(&mount_at_path(&v, "/etc/hosts")->options, &v.arena),
				    i ? "rbind rprivate idmap" : "rbind rprivate");
		assert_int_equal(v.spec.lnx->devices.n, i ? 0 : 1);
		if (i) assert_string_equal(mount_at_path(&v, "/dev/n2")->source, "/dev/null");
		assert_int_equal(v.spec.lnx->resources->devices.n, 2);
	}
	AUTO_SAMPLE joins;
	AUTO_BUF b = BUF_INIT(4096);
	sample_init(&joins, RUN, "{'UsernsMode':'container:x'}");
	joins.in.user_ns = "/u";
	sample_accept(&joins);
	assert_string_equal(namespaces(&joins, &b), "mount network ipc pid uts user=/u");
}

/* ---- mounts ---- */

static const char *order(const Sample *s, Buf *b)
{
	for (size_t i = 0; i < s->spec.mounts.n; i++)
		buf_printf(b, "%s%s", i ? " " : "", s->spec.mounts.items[i].destination);
	return buf_str(b);
}

static void test_order_of_mounts(void **state)
{
	MountPoint points[] = {
		{ .type = "bind", .source = "/h", .destination = "/data", .rw = true },
		{ .type = "volume", .source = "/v", .destination = "/data/deep/er", .rw = true },
	};
	AUTO_SAMPLE s;
	AUTO_BUF b = BUF_INIT(4096);
	sample_init(&s, RUN, "{'Tmpfs':{'/data/deep':'','//run//':''}}");
	s.mounts.items = points;
	s.mounts.n = 2;
	s.in.dir = "/d";
	sample_accept(&s);
	assert_string_equal(
		order(&s, &b),
		"/proc /dev /dev/pts /sys /sys/fs/cgroup /dev/mqueue /dev/shm /data /run /etc/resolv.conf /etc/hostname /etc/hosts "
		"/data/deep /data/deep/er");
}

/* A file as /proc/self/mountinfo. */
static void write_mountinfo(char path[static 64])
{
	static const char text[] = "21 1 8:1 / / rw,relatime - ext4 /dev/x rw\n"
				   "22 21 8:2 / /h rw shared:1 - ext4 /dev/y rw\n"
				   "23 22 8:3 / /h/in rw,relatime master:3 - ext4 /dev/z rw\n"
				   "24 21 8:4 / /a\\040b rw shared:5 master:6 - ext4 /dev/z rw\n"
				   "25 21 8:4 / /over rw shared:7 - ext4 /dev/z rw\n"
				   "26 25 8:4 / /over rw - ext4 /dev/z rw\n";
	snprintf(path, 64, "/tmp/test_mountinfo-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void test_binds(void **state)
{
	char mountinfo[64];
	write_mountinfo(mountinfo);
	const struct {
		MountPoint point;
		const char *options;
		int propagation;
	} cases[] = {
		{ { .rw = true }, "rbind rprivate", OCI_PROPAGATION_DEFAULT },
		{ { .rw = false }, "rbind rro rprivate", OCI_PROPAGATION_DEFAULT },
		{ { .rw = true, .propagation = "rshared" }, "rbind rshared", OCI_SHARED },
		{ { .rw = true, .propagation = "slave" }, "rbind slave", OCI_RSLAVE },
		{ { .rw = true, .propagation = "" }, "rbind rprivate", OCI_PROPAGATION_DEFAULT },
		{ { .rw = false, .options = { .items = (const char *[]){ "bind", "noexec", NULL }, .n = 2 } },
		  "bind noexec ro rprivate",
		  OCI_PROPAGATION_DEFAULT },
		{ { .rw = false, .options = { .items = (const char *[]){ "rbind", "ro", "shared", NULL }, .n = 3 } },
		  "rbind ro shared",
		  OCI_SHARED },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_SAMPLE s;
		MountPoint p = cases[i].point;
		p.type = "bind";
		p.source = "/h";
		p.destination = "/c";
		sample_init(&s, RUN, "{}");
		s.mounts.items = &p;
		s.mounts.n = 1;
		s.machine.mountinfo = mountinfo;
		sample_accept(&s);
		const OciMount *m = mount_at_path(&s, "/c");
		assert_string_equal(m->type, "bind");
		assert_string_equal(joined(&m->options, &s.arena), cases[i].options);
		assert_int_equal(s.spec.lnx->rootfs_propagation, cases[i].propagation);
	}
	unlink(mountinfo);
}

/* Where mounts would not go over, nothing is pretended. */
static void test_propagation(void **state)
{
	static const struct {
		const char *source, *propagation, *error;
	} cases[] = {
		{ "/h", "shared", NULL },
		{ "/h/deep", "rshared", NULL },
		{ "/h", "rslave", NULL },
		{ "/private", "rprivate", NULL },
		{ "/private", "rslave", "path /private is mounted on / but it is not a shared or slave mount" },
		{ "/hill", "shared", "path /hill is mounted on / but it is not a shared mount" },
		{ "/h/in", "slave", NULL },
		{ "/h/in", "shared", "path /h/in is mounted on /h/in but it is not a shared mount" },
		{ "/a b/c", "shared", NULL },
		{ "/over", "shared", "path /over is mounted on /over but it is not a shared mount" }, /* what lies above is seen */
	};
	char mountinfo[64];
	write_mountinfo(mountinfo);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_SAMPLE s;
		MountPoint p = {
			.type = "bind", .source = cases[i].source, .destination = "/c", .rw = true, .propagation = cases[i].propagation
		};
		sample_init(&s, RUN, "{}");
		s.mounts.items = &p;
		s.mounts.n = 1;
		s.machine.mountinfo = mountinfo;
		sample_make(&s);
		if (!cases[i].error && s.r < 0) fail_msg("%s", s.e.msg);
		if (cases[i].error) assert_string_equal(s.e.msg, cases[i].error);
	}
	unlink(mountinfo);
}

static void test_sources(void **state)
{
	MountPoint p = { .type = "volume", .source = "/v", .subpath = "sub", .destination = "/c", .rw = true };
	AUTO_SAMPLE s;
	sample_init(&s, RUN, "{}");
	s.mounts.items = &p;
	s.mounts.n = 1;
	sample_make(&s);
	assert_int_equal(s.r, -EINVAL); /* never the whole volume instead */
	assert_non_null(strstr(s.e.msg, "mount /c: its subpath sub has not been resolved"));
	s.e = ERR_INIT;
	s.in.sources = (const char *[]){ "/proc/self/fd/7" };
	sample_accept(&s);
	assert_string_equal(mount_at_path(&s, "/c")->source, "/proc/self/fd/7");
}

static void test_user_mounts_replace(void **state)
{
	MountPoint dev = { .type = "bind", .source = "/dev", .destination = "/dev", .rw = true };
	MountPoint hosts = { .type = "bind", .source = "/h", .destination = "/etc/hosts", .rw = true };
	AUTO_SAMPLE s;
	AUTO_SAMPLE t;
	AUTO_BUF b = BUF_INIT(4096);
	AUTO_BUF c = BUF_INIT(4096);
	sample_init(&s, RUN, "{'Tmpfs':{'/sys/fs/cgroup':''}}");
	s.mounts.items = &dev;
	s.mounts.n = 1;
	sample_accept(&s);
	assert_string_equal(order(&s, &b), "/proc /sys /dev /sys/fs/cgroup");
	sample_init(&t, RUN, "{'IpcMode':'none'}");
	t.mounts.items = &hosts;
	t.mounts.n = 1;
	t.in.dir = "/d";
	sample_accept(&t);
	assert_string_equal(order(&t, &c), "/proc /dev /dev/pts /sys /sys/fs/cgroup /dev/mqueue /etc/resolv.conf /etc/hostname /etc/hosts");
	assert_string_equal(mount_at_path(&t, "/etc/hosts")->source, "/h");
}

static void test_tmpfs(void **state)
{
	static const struct {
		const char *text, *options;
	} cases[] = {
		{ "", "noexec nosuid nodev rprivate" },
		{ "size=64m,mode=1770", "noexec nosuid nodev rprivate size=64m mode=1770" },
		{ "exec,suid,dev", "exec suid dev rprivate" },
		{ "rw,exec,noexec,size=1,size=2", "noexec nosuid nodev rprivate rw size=2" },
		{ "defaults,shared,uid=5,gid=6,nr_inodes=7,tmpcopyup", "noexec nosuid nodev shared uid=5 gid=6 nr_inodes=7 tmpcopyup" },
		{ "tmpcopyup,notmpcopyup", "noexec nosuid nodev rprivate" },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_SAMPLE s;
		char host[256];
		snprintf(host, sizeof host, "{'Tmpfs':{'/t':'%s'}}", cases[i].text);
		ACCEPT(s, RUN, host);
		assert_string_equal(joined(&mount_at_path(&s, "/t")->options, &s.arena), cases[i].options);
	}
	refuse(RUN, "{'Tmpfs':{'/t':'nonsense'}}", "tmpfs /t: invalid tmpfs option \"nonsense\"");
	MountPoint p = { .type = "tmpfs",
			 .destination = "/m",
			 .rw = true,
			 .options = { .items = (const char *[]){ "size=1m", "exec", NULL }, .n = 2 } };
	AUTO_SAMPLE s;
	sample_init(&s, RUN, "{}");
	s.mounts.items = &p;
	s.mounts.n = 1;
	sample_accept(&s);
	assert_string_equal(joined(&mount_at_path(&s, "/m")->options, &s.arena), "exec nosuid nodev rprivate size=1m");
}

static void test_shared_memory(void **state)
{
	AUTO_SAMPLE s;
	AUTO_SAMPLE t;
	AUTO_SAMPLE u;
	ACCEPT(s, RUN, "{'ShmSize':1048576}");
	assert_string_equal(joined(&mount_at_path(&s, "/dev/shm")->options, &s.arena), "nosuid noexec nodev mode=1777 size=1048576");
	ACCEPT(t, RUN, "{'IpcMode':'host'}");
	assert_string_equal(mount_at_path(&t, "/dev/shm")->source, "/dev/shm");
	sample_init(&u, RUN, "{'IpcMode':'shareable'}");
	u.in.shm = "/run/skep/x/shm";
	sample_accept(&u);
	assert_string_equal(mount_at_path(&u, "/dev/shm")->source, "/run/skep/x/shm");
}

static void test_read_only(void **state)
{
	AUTO_SAMPLE s;
	sample_init(&s, RUN, "{'ReadonlyRootfs':true,'Tmpfs':{'/run':''}}");
	s.in.dir = "/d";
	sample_accept(&s);
	assert_true(s.spec.root->readonly);
	assert_string_equal(joined(&mount_at_path(&s, "/etc/hosts")->options, &s.arena), "rbind rprivate ro");
	assert_string_equal(joined(&mount_at_path(&s, "/run")->options, &s.arena), "noexec nosuid nodev rprivate");
	assert_null(strstr(joined(&mount_at_path(&s, "/dev")->options, &s.arena), "ro "));
}

static void test_masks(void **state)
{
	AUTO_SAMPLE s;
	AUTO_SAMPLE t;
	AUTO_SAMPLE u;
	ACCEPT(s, RUN, "{}");
	assert_string_equal(joined(&s.spec.lnx->readonly_paths, &s.arena), "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger");
	sample_init(&t, RUN, "{'MaskedPaths':['/x'],'ReadonlyPaths':[]}");
	t.host.masked_paths_set = t.host.readonly_paths_set = true;
	sample_accept(&t);
	assert_string_equal(joined(&t.spec.lnx->masked_paths, &t.arena), "/x");
	assert_int_equal(t.spec.lnx->readonly_paths.n, 0);
	sample_init(&u, RUN, "{}");
	u.machine.has |= UINT64_C(1) << MACHINE_THROTTLE;
	sample_accept(&u);
	assert_int_equal(u.spec.lnx->masked_paths.n, 12 + machine_possible_cpus());
	assert_string_equal(u.spec.lnx->masked_paths.items[12], "/sys/devices/system/cpu/cpu0/thermal_throttle");
}

/* ---- what it gets of the machine ---- */

static void test_privileged(void **state)
{
	AUTO_SAMPLE s;
	ACCEPT(s, RUN,
	       "{'Privileged':true,'Devices':[{'PathOnHost':'/dev/null','PathInContainer':'/dev/null','CgroupPermissions':'r'},"
	       "{'PathOnHost':'/dev/null','PathInContainer':'/dev/other','CgroupPermissions':'r'}],'DeviceCgroupRules':['c 1:3 r']}");
	assert_int_equal(s.spec.process->capabilities->bounding.n, 41);
	assert_null(s.spec.lnx->seccomp);
	assert_int_equal(s.spec.lnx->masked_paths.n + s.spec.lnx->readonly_paths.n, 0);
	assert_string_equal(joined(&mount_at_path(&s, "/sys")->options, &s.arena), "nosuid noexec nodev");
	assert_string_equal(joined(&mount_at_path(&s, "/sys/fs/cgroup")->options, &s.arena), "nosuid noexec nodev rw");
	const CgroupResources *r = s.spec.lnx->resources;
	assert_int_equal(r->devices.n, 1);
	assert_true(r->devices.items[0].allow && streq(r->devices.items[0].access, "rwm"));
	size_t null = 0, other = 0;
	for (size_t i = 0; i < s.spec.lnx->devices.n; i++) {
		const char *path = s.spec.lnx->devices.items[i].path;
		assert_true(starts_with(path, "/dev/") && !starts_with(path, "/dev/pts/") && !streq(path, "/dev/console"));
		null += streq(path, "/dev/null");
		other += streq(path, "/dev/other");
	}
	assert_int_equal(null, 1);
	assert_int_equal(other, 1);
}

static void test_devices(void **state)
{
	AUTO_SAMPLE s;
	ACCEPT(s, RUN,
	       "{'Devices':[{'PathOnHost':'/dev/null','PathInContainer':'/dev//mine','CgroupPermissions':'rw'},"
	       "{'PathOnHost':'/dev/zero','PathInContainer':'','CgroupPermissions':''}],'DeviceCgroupRules':['b 8:* r','a']}");
	assert_int_equal(s.spec.lnx->devices.n, 2);
	const OciDevice *d = s.spec.lnx->devices.items;
	assert_string_equal(d[0].path, "/dev/mine");
	assert_string_equal(d[0].type, "c");
	assert_int_equal(d[0].major.v, 1);
	assert_int_equal(d[0].minor.v, 3);
	assert_int_equal(d[0].file_mode.v, 0666);
	assert_string_equal(d[1].path, "/dev/zero");
	const CgroupResources *r = s.spec.lnx->resources;
	assert_int_equal(r->devices.n, 5);
	assert_string_equal(r->devices.items[1].access, "rw");
	assert_string_equal(r->devices.items[2].access, "rwm");
	assert_string_equal(r->devices.items[3].type, "b");
	assert_int_equal(r->devices.items[3].major.v, 8);
	assert_int_equal(r->devices.items[3].minor.v, -1);
	assert_string_equal(r->devices.items[4].type, "a");
	refuse(RUN, "{'Devices':[{'PathOnHost':'/dev/no-such'}]}",
	       "error gathering device information while adding custom device \"/dev/no-such\": no such file or directory");
	refuse(RUN, "{'Devices':[{'PathOnHost':'/etc/passwd'}]}",
	       "error gathering device information while adding custom device \"/etc/passwd\": not a device node");
	refuse(RUN, "{'Devices':[{'PathOnHost':'null'}]}", "no such file or directory");
}

/* A directory stands for the devices in it, links to devices among them; what else is there does not count. */
static void test_device_directory(void **state)
{
	char dir[] = "/tmp/test_devices-XXXXXX", host[256], path[128];
	assert_non_null(mkdtemp(dir));
	AUTO_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(fd, "sub", 0755), 0);
	assert_int_equal(symlinkat("/dev/null", fd, "sub/link"), 0);
	assert_int_equal(symlinkat("/etc/passwd", fd, "file"), 0);
	assert_int_equal(symlinkat("/", fd, "root"), 0);
	AUTO_SAMPLE s;
	snprintf(host, sizeof host, "{'Devices':[{'PathOnHost':'%s','PathInContainer':'/dev/all','CgroupPermissions':'r'}]}", dir);
	sample_init(&s, RUN, host);
	sample_make(&s);
	AUTO_SAMPLE t;
	assert_int_equal(unlinkat(fd, "sub/link", 0), 0);
	sample_init(&t, RUN, host);
	sample_make(&t);
	unlinkat(fd, "file", 0);
	unlinkat(fd, "root", 0);
	unlinkat(fd, "sub", AT_REMOVEDIR);
	rmdir(dir);
	if (s.r < 0) fail_msg("%s", s.e.msg);
	assert_int_equal(s.spec.lnx->devices.n, 1);
	assert_string_equal(s.spec.lnx->devices.items[0].path, "/dev/all/sub/link");
	assert_int_equal(s.spec.lnx->resources->devices.n, 2);
	snprintf(path, sizeof path, "adding custom device \"%s\": not a device node", dir);
	assert_true(t.r < 0 && strstr(t.e.msg, path));
}

static void test_resources(void **state)
{
	AUTO_SAMPLE s;
	ACCEPT(s, RUN,
	       "{'Memory':10485760,'MemoryReservation':6291456,'MemorySwappiness':7,'OomKillDisable':true,'PidsLimit':9,'NanoCpus':1290000000,"
	       "'CpuShares':5,'CpusetCpus':'0-1','CpusetMems':'0','BlkioWeight':20,'CpuRealtimePeriod':1000,'CpuRealtimeRuntime':500}");
	const CgroupResources *r = s.spec.lnx->resources;
	assert_int_equal(r->memory.limit.v, 10485760);
	assert_int_equal(r->memory.swap.v, 20971520);
	assert_int_equal(r->memory.reservation.v, 6291456);
	assert_int_equal(r->memory.swappiness.v, 7);
	assert_true(r->memory.disable_oom_killer.v);
	assert_int_equal(r->pids_limit.v, 9);
	assert_int_equal(r->cpu.period.v, 100000);
	assert_int_equal(r->cpu.quota.v, 129000);
	assert_int_equal(r->cpu.shares.v, 5);
	assert_string_equal(r->cpu.cpus, "0-1");
	assert_string_equal(r->cpu.mems, "0");
	assert_int_equal(r->block_io.weight.v, 20);
	assert_int_equal(r->cpu.realtime_runtime.v, 500);
	AUTO_SAMPLE t;
	ACCEPT(t, RUN,
	       "{'Memory':10485760,'MemorySwap':-1,'CpuPeriod':50000,'CpuQuota':25000,'PidsLimit':-1,'MemorySwappiness':-1,'OomKillDisable':false}");
	r = t.spec.lnx->resources;
	assert_false(r->memory.swap.set || r->pids_limit.set || r->memory.swappiness.set || r->memory.disable_oom_killer.set);
	assert_int_equal(r->cpu.period.v, 50000);
	assert_int_equal(r->cpu.quota.v, 25000);
	refuse(RUN, "{'BlkioDeviceReadBps':[{'Path':'/dev/no-such','Rate':1}]}", "stat /dev/no-such: no such file or directory");
	refuse(RUN, "{'BlkioDeviceWriteIOps':[{'Path':'/dev/null','Rate':1}]}", "/dev/null: not a block device");
	refuse(RUN, "{'BlkioWeightDevice':[{'Path':'/dev/null','Weight':100}]}", "/dev/null: not a block device");
}

static void test_cgroup_path(void **state)
{
	static const struct {
		bool systemd;
		const char *host, *parent, *path;
	} cases[] = {
		{ false, "{}", NULL, "/skep/" SAMPLE_ID },
		{ false, "{}", "/other", "/other/" SAMPLE_ID },
		{ false, "{'CgroupParent':'/mine'}", "/other", "/mine/" SAMPLE_ID },
		{ true, "{}", NULL, "system.slice:skep:" SAMPLE_ID },
		{ true, "{'CgroupParent':'my.slice'}", NULL, "my.slice:skep:" SAMPLE_ID },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO_SAMPLE s;
		sample_init(&s, RUN, cases[i].host);
		s.machine.systemd = cases[i].systemd;
		s.in.cgroup_parent = cases[i].parent;
		sample_accept(&s);
		assert_string_equal(s.spec.lnx->cgroups_path, cases[i].path);
	}
}

static void test_sysctls(void **state)
{
	AUTO_SAMPLE s;
	AUTO_SAMPLE t;
	AUTO_SAMPLE u;
	ACCEPT(s, RUN, "{'Sysctls':{'net.ipv4.ip_unprivileged_port_start':'80','net.core.somaxconn':'5'}}");
	assert_int_equal(s.spec.lnx->sysctl.n, 3);
	assert_string_equal(str_map_get(&s.spec.lnx->sysctl, "net.ipv4.ip_unprivileged_port_start"), "80");
	assert_string_equal(str_map_get(&s.spec.lnx->sysctl, "net.ipv4.ping_group_range"), "0 2147483647");
	ACCEPT(t, RUN, "{'NetworkMode':'host'}");
	assert_int_equal(t.spec.lnx->sysctl.n, 0);
	sample_init(&u, RUN, "{'NetworkMode':'container:x'}");
	u.in.network_ns = "/n";
	sample_accept(&u);
	assert_int_equal(u.spec.lnx->sysctl.n, 0);
	refuse(RUN, "{'Sysctls':{'kernel.pid_max':'1'}}", "not in a separate kernel namespace");
}

static void test_annotations(void **state)
{
	AUTO_SAMPLE s;
	ACCEPT(s, RUN, "{'Annotations':{'org.example.a':'1'}}");
	assert_string_equal(str_map_get(&s.spec.annotations, "org.example.a"), "1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everyday),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_program),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_oom_score),
		cmocka_unit_test(test_security),
		cmocka_unit_test(test_own_level),
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_cgroup2),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_user_namespace),
		cmocka_unit_test(test_order_of_mounts),
		cmocka_unit_test(test_binds),
		cmocka_unit_test(test_propagation),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_user_mounts_replace),
		cmocka_unit_test(test_tmpfs),
		cmocka_unit_test(test_shared_memory),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_privileged),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_device_directory),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_cgroup_path),
		cmocka_unit_test(test_sysctls),
		cmocka_unit_test(test_annotations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
