/* container_options.c: create and run as a whole, see container_options.h. */
#include "cli/skep/container/options_impl.h"

enum { STATUS_WRONG = 125 };

int no_memory(Err *e)
{
	return err_sys(e, ENOMEM, "command line");
}

int number_parse(Str s, int64_t *ret)
{
	if (s.n > 1 && s.p[0] == '+' && s.p[1] != '-') s = (Str){ s.p + 1, s.n - 1 };
	return str_to_i64(s, ret);
}

const char *number_error(int r)
{
	return r == -ERANGE ? "value out of range" : "invalid syntax";
}

void option_fields(const Invocation *in, const OptionField *fields, size_t n, void *to)
{
	for (size_t i = 0; i < n; i++) {
		const char *name = fields[i].option, *text = option_value(in, name);
		void *at = (char *)to + fields[i].offset;
		switch (fields[i].kind) {
		case FIELD_TEXT:
			*(const char **)at = text && *text ? text : NULL;
			break;
		case FIELD_NUMBER:
			*(int64_t *)at = option_number(in, name);
			break;
		case FIELD_I32:
			*(int32_t *)at = (int32_t)option_number(in, name);
			break;
		case FIELD_U32:
			*(uint32_t *)at = (uint32_t)option_number(in, name);
			break;
		case FIELD_BOOL:
			*(bool *)at = option_switch(in, name);
			break;
		case FIELD_LIST:
			*(StrList *)at = *option_list(in, name);
			break;
		case FIELD_OPT_INT:
			*(OptInt *)at = (OptInt){ option_is_set(in, name), option_number(in, name) };
			break;
		case FIELD_OPT_BOOL:
			*(OptBool *)at = (OptBool){ option_is_set(in, name), option_switch(in, name) };
			break;
		}
	}
}

#define F(name, kind, field) \
	{ \
		(name), FIELD_##kind, offsetof(ContainerRequest, field) \
	}
static const OptionField fields[] = {
	F("name", TEXT, name),
	F("platform", TEXT, platform),
	F("cidfile", TEXT, cid_file),
	F("cidfile", TEXT, host.container_id_file),
	F("quiet", BOOL, quiet),
	F("replace", BOOL, replace),
	F("hostname", TEXT, config.hostname),
	F("domainname", TEXT, config.domainname),
	F("user", TEXT, config.user),
	F("workdir", TEXT, config.working_dir),
	F("stop-signal", TEXT, config.stop_signal),
	F("stop-timeout", OPT_INT, config.stop_timeout),
	F("init", OPT_BOOL, host.init),
	F("rm", BOOL, host.auto_remove),
	F("oom-score-adj", I32, host.oom_score_adj),
	F("volumes-from", LIST, host.volumes_from),
	F("volume-driver", TEXT, host.volume_driver),
	F("group-add", LIST, host.group_add),
	F("cgroupns", TEXT, host.cgroupns_mode),
	F("ipc", TEXT, host.ipc_mode),
	F("pid", TEXT, host.pid_mode),
	F("uts", TEXT, host.uts_mode),
	F("userns", TEXT, host.userns_mode),
	F("uidmap", LIST, host.uid_map),
	F("gidmap", LIST, host.gid_map),
	F("subuidname", TEXT, host.subuid_name),
	F("subgidname", TEXT, host.subgid_name),
	F("privileged", BOOL, host.privileged),
	F("publish-all", BOOL, host.publish_all_ports),
	F("read-only", BOOL, host.readonly_rootfs),
	F("runtime", TEXT, host.runtime),
	F("isolation", TEXT, host.isolation),
	F("health-on-failure", TEXT, host.health_on_failure),
};
static const OptionField run_fields[] = {
	F("detach", BOOL, detach),
	F("detach-keys", TEXT, detach_keys),
	F("sig-proxy", BOOL, sig_proxy),
};
#undef F

/* What only the other system has. */
static int refuse_windows(const OptionParse *p)
{
	static const char *const names[] = { "cpu-count", "cpu-percent", "io-maxbandwidth", "io-maxiops" };
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (option_is_set(p->in, names[i]))
			return err_set(
				p->e, ERR_UNSUPPORTED, ENOTSUP,
				"\"--%s\" is only supported on a Docker daemon running on windows, but the Docker daemon is running on linux",
				names[i]);
	return 0;
}

/* What would not do what it says. */
static int refuse_missing(const OptionParse *p)
{
	if (option_switch(p->in, "use-api-socket"))
		return err_set(p->e, ERR_UNSUPPORTED, ENOTSUP,
			       "--use-api-socket: there is no daemon here, and so no API socket to mount into the container");
	if (!option_switch(p->in, "disable-content-trust"))
		return err_set(
			p->e, ERR_UNSUPPORTED, ENOTSUP,
			"--disable-content-trust=false: images are not verified with Notary here; name the image by its digest instead");
	return 0;
}

static int take_pull(const OptionParse *p)
{
	const char *pull = option_value(p->in, "pull");
	p->to->pull = *pull ? pull : "missing";
	if (streq(p->to->pull, "always") || streq(p->to->pull, "missing") || streq(p->to->pull, "never")) return 0;
	return err_set(p->e, ERR_USAGE, EINVAL, "invalid pull option: '%.*s': must be one of \"always\", \"missing\" or \"never\"", SHOWN,
		       pull);
}

static int take_fields(const OptionParse *p)
{
	option_fields(p->in, fields, ARRAY_LEN(fields), p->to);
	if (option_find(p->in->command->options, STR("detach"))) option_fields(p->in, run_fields, ARRAY_LEN(run_fields), p->to);
	if (!p->to->platform) p->to->platform = getenv("DOCKER_DEFAULT_PLATFORM");
	if (p->to->platform && !*p->to->platform) p->to->platform = NULL;
	return 0;
}

static int check_conflicts(const OptionParse *p)
{
	const RestartPolicy *restart = &p->to->host.restart_policy;
	if (p->to->host.auto_remove && restart->name && !streq(restart->name, "no"))
		return err_set(p->e, ERR_USAGE, EINVAL, "conflicting options: cannot specify both --restart and --rm");
	return 0;
}

int container_options_parse(Invocation *in, ContainerRequest *ret, Err *e)
{
	static int (*const steps[])(const OptionParse *p) = {
		refuse_missing,     take_pull,       options_mac,     options_swappiness, take_fields,         options_streams,
		options_command,    options_volumes, options_ports,   options_devices,    options_environment, options_labels,
		options_namespaces, options_restart, options_logging, options_security,   options_health,      options_gpus,
		options_resources,  options_mounts,  options_hosts,   check_conflicts,    options_network,
	};
	*ret = (ContainerRequest){ 0 };
	OptionParse p = { in, in->arena, ret, e };
	int r = refuse_windows(&p);
	if (r < 0) return r;
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		r = steps[i](&p);
		if (r < 0) return usage_failure(in, STATUS_WRONG, e);
	}
	if (!ret->detach) return 0;
	if (option_list(in, "attach")->n)
		return err_set(e, ERR_USAGE, EINVAL, "conflicting options: cannot specify both --attach and --detach");
	ret->config.attach_stdin = ret->config.attach_stdout = ret->config.attach_stderr = ret->config.stdin_once = false;
	return 0;
}
