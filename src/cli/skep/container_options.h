/* container_options.h: the command lines of create, run, update and exec, from flags to structs.
 *
 *  - What is done here is the docker CLI's half of those commands: the same flags, the same refusals in the same words and order. What docker's
 *    daemon refuses (an unknown restart policy, a relative path in the container) is `container_config_check`'s, for the API as well.
 *  - Files that flags name are read (--env-file, --label-file, seccomp profiles), the environment is looked up, relative paths of the host are made
 *    absolute. Nothing else is touched.
 *  - What fails has set how it is to be reported (Invocation.usage): callers just return.
 *  - All that comes out lives as long as the invocation's arena and argv.
 */
#pragma once

#include "cli/command.h"
#include "engine/config.h"
#include "engine/endpoint.h"

/* The commands' options. */
extern const Option container_create_options[], container_run_options[], container_update_options[], container_exec_options[];

/* ContainerRequest: what create and run were asked for. In config.env an item without "=" takes that variable of the image away
 * (--env NAME, and it is not set here), as it does in docker's API. */
typedef struct ContainerRequest {
	ContainerConfig config;
	HostConfig host;
	EndpointRequestList endpoints; /* of networks for which something special was asked */
	const char *name;              /* NULL: one is to be made up */
	const char *platform;          /* NULL: this machine's */
	const char *pull;              /* "always", "missing", "never" */
	const char *cid_file;          /* NULL: none */
	const char *detach_keys;       /* NULL: not given */
	bool detach;                   /* run alone; nothing is attached then */
	bool sig_proxy;                /* run alone */
	bool quiet, replace;
	StrList warnings; /* for the user, to be shown behind "WARNING: " when the container is made */
} ContainerRequest;

int container_options_parse(Invocation *in, ContainerRequest *ret, Err *e) MUST_USE;

/* check_label, check_link: the rules of --label and --link, which commands of networks have, too. */
int check_label(const char *text, Err *e);
int check_link(const char *text, Err *e);

/* ExecRequest: what exec was asked for. */
typedef struct ExecRequest {
	const char *container;
	StrList command, env;
	const char *user, *working_dir; /* NULL: the container's */
	const char *detach_keys;        /* NULL: not given */
	bool detach, interactive, tty, privileged;
} ExecRequest;

int exec_options_parse(Invocation *in, ExecRequest *ret, Err *e) MUST_USE;

/* update_options_parse: *ret holds what is to change; 0, NULL and unset stand for what is to stay, as in the API. The containers are in->args. */
int update_options_parse(Invocation *in, HostConfig *ret, Err *e) MUST_USE;
