/* exec_options.c: exec and update, see container_options.h. */
#include "cli/skep/commands.h"
#include "cli/skep/container/options_impl.h"
#include "image/docker_config.h"

#define F(name, kind, field) \
	{ \
		(name), FIELD_##kind, offsetof(ExecRequest, field) \
	}
static const OptionField exec_fields[] = {
	F("detach", BOOL, detach),
	F("detach-keys", TEXT, detach_keys),
	F("interactive", BOOL, interactive),
	F("privileged", BOOL, privileged),
	F("tty", BOOL, tty),
	F("user", TEXT, user),
	F("workdir", TEXT, working_dir),
};
#undef F

int exec_options_parse(Invocation *in, ExecRequest *ret, Err *e)
{
	const Skep *skep = in->app;
	DockerConfig config;
	Err why = ERR_INIT;
	*ret = (ExecRequest){ .container = in->args.items[0], .command = { in->args.items + 1, in->args.n - 1 } };
	option_fields(in, exec_fields, ARRAY_LEN(exec_fields), ret);
	if (!ret->detach_keys && docker_config_load(skep ? skep->config : NULL, in->arena, &config, &why) >= 0)
		ret->detach_keys = config_detach_keys(&config);
	return environment_read(in, &ret->env, e);
}

int update_options_parse(Invocation *in, HostConfig *ret, Err *e)
{
	const char *restart = option_value(in, "restart");
	bool any = false;
	*ret = (HostConfig){ 0 };
	for (const Option *o = in->command->options; o->name; o++)
		any |= option_is_set(in, o->name);
	if (!any) return err_set(e, ERR_USAGE, EINVAL, "you must provide one or more flags when using this command");
	options_limits(in, ret);
	if (option_number(in, "kernel-memory")) log_write(&in->log, LOG_WARN, "%s", KERNEL_MEMORY_WARNING);
	return restart ? restart_policy_parse(restart, in->arena, &ret->restart_policy, e) : 0;
}
