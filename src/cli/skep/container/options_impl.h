/* options_impl.h: the parts of container_options.h. Each takes the options of its noun out of a command line.
 *
 * check_…: rules for the text of one option, which hold as soon as it is read (Option.check).
 * options_…: the rest, in the order in which docker's CLI looks at it. All of them: 0, or -errno with e set.
 */
#pragma once

#include <inttypes.h>

#include "cli/skep/container_options.h"

/* How much of a value a message quotes. */
enum { SHOWN = 200, CHECK_ARENA_MAX = 4 << 20 };

typedef struct OptionParse {
	Invocation *in;
	Arena *arena;
	ContainerRequest *to;
	Err *e;
} OptionParse;

/* no_memory: the error of an arena that is full. */
int no_memory(Err *e);

/* number_parse: [+-]digits, as Go's strconv.ParseInt in base 10. number_error: what Go says of a text that is none. */
int number_parse(Str s, int64_t *ret) MUST_USE;
const char *number_error(int r);

/* Options of which nothing is to be known but where they go: a row each. */
typedef enum {
	FIELD_TEXT,   /* const char *, NULL when it is empty */
	FIELD_NUMBER, /* int64_t */
	FIELD_I32,
	FIELD_U32,
	FIELD_BOOL,
	FIELD_LIST,
	FIELD_OPT_INT, /* when given */
	FIELD_OPT_BOOL,
} FieldKind;
typedef struct OptionField {
	const char *option;
	FieldKind kind;
	size_t offset;
} OptionField;
void option_fields(const Invocation *in, const OptionField *fields, size_t n, void *to);

/* options_environment.c */
struct DockerConfig;
const char *config_detach_keys(const struct DockerConfig *c); /* NULL: none */
int check_env(const char *text, Err *e);
int environment_read(Invocation *in, StrList *ret, Err *e) MUST_USE; /* --env-file and --env */
int options_environment(const OptionParse *p) MUST_USE;
int options_labels(const OptionParse *p) MUST_USE;

/* options_volume.c, options_mount.c. volume_parse: *ret_source is the beginning of spec up to its first colon; empty for an anonymous volume. */
int volume_parse(const char *spec, Str *ret_source, Err *e) MUST_USE;
int check_mount(const char *text, Err *e);
int mount_parse(const char *text, Arena *a, MountRequest *ret, Err *e) MUST_USE;
int options_volumes(const OptionParse *p) MUST_USE;
int options_mounts(const OptionParse *p) MUST_USE;
/* absolute_path: path from the current directory on, clean. NULL with errno set. */
const char *absolute_path(Arena *a, const char *path) MUST_USE;

/* options_resource.c */
#define KERNEL_MEMORY_WARNING "Kernel memory is counted as memory, and has no limit of its own any more: --kernel-memory does nothing."
int check_ulimit(const char *text, Err *e);
int check_blkio_weight(const char *text, Err *e);
int check_rate_bps(const char *text, Err *e);
int check_rate_iops(const char *text, Err *e);
int ulimit_parse(const char *text, Ulimit *ret, Err *e) MUST_USE;
int options_swappiness(const OptionParse *p) MUST_USE;
int options_resources(const OptionParse *p) MUST_USE;
void options_limits(const Invocation *in, HostConfig *to); /* those that update has as well */

/* options_device.c */
int check_device_rule(const char *text, Err *e);
int check_gpus(const char *text, Err *e);
int device_parse(const char *text, Arena *a, DeviceMapping *ret, Err *e) MUST_USE;
int options_devices(const OptionParse *p) MUST_USE;
int options_gpus(const OptionParse *p) MUST_USE;

/* options_network.c, options_host.c */
int check_network(const char *text, Err *e);
int check_ip(const char *text, Err *e);
int check_dns_search(const char *text, Err *e);
int check_extra_host(const char *text, Err *e);
bool mac_is_valid(const char *text);
bool ip_is_valid(Str text);
int options_mac(const OptionParse *p) MUST_USE;
int network_parse(const char *text, Arena *a, EndpointRequest *ret, Err *e) MUST_USE;
int options_network(const OptionParse *p) MUST_USE;
int options_hosts(const OptionParse *p) MUST_USE;

/* options_port.c: one mapping for each port. port_parse: of one --publish; adds to *ret, which grows in the arena. */
typedef struct PortMapping {
	const char *port;      /* in the container: "80/tcp" */
	const char *ip, *host; /* of this machine: "" each, "8080", "8000-8010" */
} PortMapping;
typedef struct PortMappings {
	PortMapping *items;
	size_t n, room;
} PortMappings;
int port_parse(const char *text, Arena *a, PortMappings *ret, Err *e) MUST_USE;
int options_ports(const OptionParse *p) MUST_USE;

/* options_security.c */
int check_sysctl(const char *text, Err *e);
int options_namespaces(const OptionParse *p) MUST_USE;
int options_security(const OptionParse *p) MUST_USE;

/* options_process.c */
int check_attach(const char *text, Err *e);
int options_streams(const OptionParse *p) MUST_USE;
int options_command(const OptionParse *p) MUST_USE;
int options_health(const OptionParse *p) MUST_USE;
int options_logging(const OptionParse *p) MUST_USE;
int restart_policy_parse(const char *text, Arena *a, RestartPolicy *ret, Err *e) MUST_USE;
int options_restart(const OptionParse *p) MUST_USE;

/* csv.c: one record of comma-separated values, as Go's encoding/csv reads it: a field may stand in quotes, "" in it is one. -EINVAL. */
int csv_parse(const char *text, Arena *a, StrList *ret, Err *e) MUST_USE;

/* json_compact.c: appends to out; -EINVAL in Go's words. */
int json_compact(Str text, Buf *out, Err *e) MUST_USE;
