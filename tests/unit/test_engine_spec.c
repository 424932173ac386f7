/* test_engine_spec.c: what a container was asked to be, as a runtime specification. */
#include "spec_sample.h"

#include <sched.h>
#include <sys/resource.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everyday),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
