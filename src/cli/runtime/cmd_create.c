/* cmd_create.c: create, run, start. */
#include "cli/runtime/commands.h"
#include "runtime/foreground.h"

int preserved_fds(const Invocation *in, unsigned *ret, Err *e)
{
	const char *text = option_value(in, "preserve-fds");
	uint32_t n;
	*ret = 0;
	if (!text) return 0;
	if (str_to_u32(str_of(text), &n) < 0 || n > 65536)
		return err_set(e, ERR_USAGE, EINVAL, "--preserve-fds: expected a number from 0 to 65536, got \"%.32s\"", text);
	*ret = n;
	return 0;
}

/* LISTEN_FDS of a socket activated runtime goes on to the container: its descriptors too. */
static int listen_fds(unsigned *ret, Err *e)
{
	const char *text = getenv("LISTEN_FDS");
	uint32_t n;
	*ret = 0;
	if (!text || !*text) return 0;
	if (str_to_u32(str_of(text), &n) < 0 || n > 65536)
		return err_set(e, ERR_USAGE, EINVAL, "LISTEN_FDS: expected a number, got \"%.32s\"", text);
	*ret = n;
	return 0;
}

static int create_options(Invocation *in, CreateOptions *ret, Err *e)
{
	unsigned preserve, activated;
	int r = preserved_fds(in, &preserve, e);
	if (r < 0 || (r = listen_fds(&activated, e)) < 0) return r;
	*ret = (CreateOptions){
		.id = in->args.items[0],
		.bundle = option_value(in, "bundle"),
		.pid_file = option_value(in, "pid-file"),
		.console_socket = option_value(in, "console-socket"),
		.pidfd_socket = option_value(in, "pidfd-socket"),
		.no_pivot = option_switch(in, "no-pivot"),
		.no_new_keyring = option_switch(in, "no-new-keyring"),
		.preserve_fds = preserve,
		.listen_fds = activated,
	};
	return 0;
}

int create_run(Invocation *in, Err *e)
{
	CreateOptions o;
	int r = create_options(in, &o, e);
	return r < 0 ? r : container_create(runtime_of(in), &o, e);
}

int run_run(Invocation *in, Err *e)
{
	CreateOptions o;
	int r = create_options(in, &o, e);
	if (r < 0) return r;
	o.detach = option_switch(in, "detach");
	o.keep = option_switch(in, "keep");
	if (!o.detach) foreground_block_signals();
	return container_run(runtime_of(in), &o, e);
}

int start_run(Invocation *in, Err *e)
{
	AUTO_CONTAINER c = { .dir = -1 };
	int r = container_load(runtime_of(in), in->args.items[0], in->arena, &c, e);
	return r < 0 ? r : container_start(&c, e);
}
