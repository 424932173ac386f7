/* inspect_shape.c: see inspect_shape.h. */
#include "cli/skep/inspect_shape.h"

/* What a member is when the document has no value for it; FOREIGN: a number or text that the struct has by another name (ID, NanoCPUs). */
typedef enum { TEXT, NUMBER, BOOL, LIST, MAP, POINTER, DURATION, TIME, FOREIGN } Zero;

typedef struct Shape Shape;
typedef struct Field {
	const char *name;
	Zero zero;
	const Shape *of;   /* the struct that it is, or its items are, or its values */
	const char *alias; /* what the struct calls it; NULL: the same */
} Field;
struct Shape {
	const Field *fields;
	size_t n;
};

/* A member that is not named here is taken as the document has it; one that is left out stands behind the one named before it. */
#define SHAPE(name, ...) \
	static const Field name##_fields[] = { __VA_ARGS__ }; \
	static const Shape name = { name##_fields, ARRAY_LEN(name##_fields) }

static const Shape plain = { 0 };

SHAPE(log_config, { "Type", TEXT }, { "Config", MAP });
SHAPE(mount_point, { "Type", TEXT }, { "Name", TEXT }, { "Source", TEXT }, { "Destination", TEXT }, { "Driver", TEXT }, { "Mode", TEXT },
      { "RW", BOOL }, { "Propagation", TEXT });
SHAPE(bind_options, { "Propagation", TEXT }, { "NonRecursive", BOOL }, { "CreateMountpoint", BOOL }, { "ReadOnlyNonRecursive", BOOL },
      { "ReadOnlyForceRecursive", BOOL });
SHAPE(volume_driver, { "Name", TEXT }, { "Options", MAP });
SHAPE(volume_options, { "NoCopy", BOOL }, { "Labels", MAP }, { "Subpath", TEXT }, { "DriverConfig", POINTER, &volume_driver });
SHAPE(tmpfs_options, { "SizeBytes", NUMBER }, { "Mode", NUMBER }, { "Options", LIST });
SHAPE(mount_request, { "Type", TEXT }, { "Source", TEXT }, { "Target", TEXT }, { "ReadOnly", BOOL }, { "Consistency", TEXT },
      { "BindOptions", POINTER, &bind_options }, { "VolumeOptions", POINTER, &volume_options }, { "ImageOptions", POINTER, &plain },
      { "TmpfsOptions", POINTER, &tmpfs_options }, { "ClusterOptions", POINTER, &plain });
SHAPE(device_request, { "Driver", TEXT }, { "Count", NUMBER }, { "DeviceIDs", LIST }, { "Capabilities", LIST }, { "Options", MAP });
SHAPE(host_config, { "Binds", LIST }, { "LogConfig", POINTER, &log_config }, { "PortBindings", MAP, &plain },
      { "RestartPolicy", POINTER, &plain }, { "VolumesFrom", LIST }, { "ConsoleSize", LIST }, { "Annotations", MAP }, { "CapAdd", LIST },
      { "CapDrop", LIST }, { "Dns", FOREIGN }, { "DnsOptions", FOREIGN }, { "DnsSearch", FOREIGN }, { "ExtraHosts", LIST },
      { "GroupAdd", LIST }, { "Links", LIST }, { "SecurityOpt", LIST }, { "StorageOpt", MAP }, { "Tmpfs", MAP }, { "Sysctls", MAP },
      { "CpuShares", FOREIGN }, { "NanoCpus", FOREIGN }, { "BlkioWeightDevice", LIST, &plain }, { "BlkioDeviceReadBps", LIST, &plain },
      { "BlkioDeviceWriteBps", LIST, &plain }, { "BlkioDeviceReadIOps", LIST, &plain }, { "BlkioDeviceWriteIOps", LIST, &plain },
      { "CpuPeriod", FOREIGN }, { "CpuQuota", FOREIGN }, { "CpuRealtimePeriod", FOREIGN }, { "CpuRealtimeRuntime", FOREIGN },
      { "Devices", LIST, &plain }, { "DeviceCgroupRules", LIST }, { "DeviceRequests", LIST, &device_request },
      { "MemorySwappiness", POINTER }, { "OomKillDisable", POINTER }, { "PidsLimit", POINTER }, { "Ulimits", LIST, &plain },
      { "Mounts", LIST, &mount_request }, { "MaskedPaths", LIST }, { "ReadonlyPaths", LIST }, { "Init", POINTER });

SHAPE(healthcheck, { "Test", LIST }, { "Interval", DURATION }, { "Timeout", DURATION }, { "StartPeriod", DURATION },
      { "StartInterval", DURATION }, { "Retries", NUMBER });
SHAPE(config, { "AttachStderr", BOOL }, { "ExposedPorts", MAP, &plain }, { "Env", LIST }, { "Cmd", LIST },
      { "Healthcheck", POINTER, &healthcheck }, { "ArgsEscaped", BOOL }, { "Image", TEXT }, { "Volumes", MAP, &plain },
      { "WorkingDir", TEXT }, { "Entrypoint", LIST }, { "NetworkDisabled", BOOL }, { "MacAddress", TEXT }, { "OnBuild", LIST },
      { "Labels", MAP }, { "StopSignal", TEXT }, { "StopTimeout", POINTER }, { "Shell", LIST });

SHAPE(health, { "Status", TEXT }, { "FailingStreak", NUMBER }, { "Log", LIST, &plain });
SHAPE(state, { "FinishedAt", TEXT }, { "Health", POINTER, &health });
SHAPE(endpoint, { "IPAMConfig", POINTER, &plain }, { "Links", LIST }, { "Aliases", LIST }, { "DriverOpts", MAP }, { "DNSNames", LIST });
SHAPE(network_settings, { "Ports", MAP, &plain }, { "SecondaryIPAddresses", LIST }, { "SecondaryIPv6Addresses", LIST },
      { "Networks", MAP, &endpoint });
SHAPE(graph_driver, { "Data", MAP });
SHAPE(container, { "Id", TEXT, .alias = "ID" }, { "State", POINTER, &state }, { "ExecIDs", LIST }, { "HostConfig", POINTER, &host_config },
      { "GraphDriver", POINTER, &graph_driver }, { "SizeRw", POINTER }, { "SizeRootFs", POINTER }, { "Mounts", LIST, &mount_point },
      { "Config", POINTER, &config }, { "NetworkSettings", POINTER, &network_settings });

SHAPE(rootfs, { "Layers", LIST });
SHAPE(image, { "Id", TEXT, .alias = "ID" }, { "RepoTags", LIST }, { "RepoDigests", LIST }, { "Config", POINTER, &config },
      { "Architecture", TEXT }, { "Variant", TEXT }, { "Os", TEXT }, { "OsVersion", TEXT }, { "GraphDriver", POINTER, &graph_driver },
      { "RootFS", POINTER, &rootfs }, { "Descriptor", POINTER, &plain });

SHAPE(volume, { "Labels", MAP }, { "Mountpoint", TEXT }, { "Name", TEXT }, { "Options", MAP }, { "Scope", TEXT }, { "Status", MAP },
      { "UsageData", POINTER, &plain });

SHAPE(ipam_config, { "Subnet", TEXT }, { "IPRange", TEXT }, { "Gateway", TEXT }, { "AuxiliaryAddresses", MAP, .alias = "AuxAddress" });
SHAPE(ipam, { "Driver", TEXT }, { "Options", MAP }, { "Config", LIST, &ipam_config });
SHAPE(network, { "Name", TEXT }, { "Id", TEXT, .alias = "ID" }, { "Created", TIME }, { "IPAM", POINTER, &ipam },
      { "ConfigFrom", POINTER, &plain }, { "ConfigOnly", BOOL }, { "Containers", MAP, &plain }, { "Options", MAP }, { "Labels", MAP },
      { "Peers", LIST }, { "Services", MAP });

static JsonValue zero(Zero kind)
{
	static const JsonType types[] = { [TEXT] = JSON_STRING, [NUMBER] = JSON_INT,   [BOOL] = JSON_BOOL,    [LIST] = JSON_ARRAY,
					  [MAP] = JSON_OBJECT,  [POINTER] = JSON_NULL, [DURATION] = JSON_INT, [TIME] = JSON_STRING };
	JsonValue v = { .type = types[kind] };
	if (kind == TEXT || kind == TIME) v.s = "";
	if (kind == LIST || kind == MAP || kind == POINTER) v.go = JSON_NIL;
	return v;
}

static int compare_members(const void *x, const void *y)
{
	return strcmp(((const JsonMember *)x)->key, ((const JsonMember *)y)->key);
}

static int mark_struct(JsonValue *v, const Shape *shape, Arena *a);

static int mark_field(JsonValue *v, const Field *f, Arena *a)
{
	int r = 0;
	if (v->type == JSON_NULL && f->zero != FOREIGN) *v = zero(f->zero);
	if (f->zero == DURATION) v->go = JSON_DURATION;
	if (f->zero == TIME) v->go = JSON_TIME;
	if (f->zero == FOREIGN) v->go = JSON_FOREIGN;
	if (f->zero == MAP && v->type == JSON_OBJECT && v->n) qsort(v->members, v->n, sizeof *v->members, compare_members);
	if (!f->of) return 0;
	if (v->type == JSON_OBJECT && f->zero == POINTER) return mark_struct(v, f->of, a);
	for (uint32_t i = 0; r >= 0 && v->type == JSON_ARRAY && i < v->n; i++)
		r = mark_struct(&v->items[i], f->of, a);
	for (uint32_t i = 0; r >= 0 && v->type == JSON_OBJECT && i < v->n; i++)
		r = mark_field(&v->members[i].value,
			       &(Field){ .zero = v->members[i].value.type == JSON_OBJECT ? POINTER : LIST, .of = f->of }, a);
	return r;
}

static uint32_t find(const JsonValue *v, const char *key)
{
	uint32_t i = 0;
	while (i < v->n && !streq(v->members[i].key, key))
		i++;
	return i;
}

static void insert(JsonValue *v, uint32_t at, JsonMember m)
{
	memmove(v->members + at + 1, v->members + at, (v->n++ - at) * sizeof *v->members);
	v->members[at] = m;
}

/* A document has it by that name; the struct's own name is beside it. */
static void add_alias(JsonValue *v, uint32_t at, const char *alias)
{
	JsonMember m = { .key = alias, .value = v->members[at].value };
	m.value.go |= JSON_ABSENT | JSON_ALIAS;
	v->members[at].value.go |= JSON_FOREIGN;
	insert(v, at + 1, m);
}

static int mark_struct(JsonValue *v, const Shape *shape, Arena *a)
{
	if (v->type != JSON_OBJECT) return 0;
	JsonMember *members = arena_array(a, v->n + shape->n + 1, sizeof *members);
	if (!members) return -ENOMEM;
	if (v->n) memcpy(members, v->members, v->n * sizeof *members);
	v->members = members;
	v->go = JSON_STRUCT;
	uint32_t next = 0;
	for (size_t i = 0; i < shape->n; i++) {
		const Field *f = &shape->fields[i];
		uint32_t at = find(v, f->name);
		if (at == v->n && f->zero == FOREIGN) continue;
		if (at == v->n) {
			at = next;
			insert(v, at, (JsonMember){ .key = f->alias ? f->alias : f->name, .value = zero(f->zero) });
			members[at].value.go |= JSON_ABSENT;
		} else {
			int r = mark_field(&members[at].value, f, a);
			if (r < 0) return r;
			if (f->alias) add_alias(v, at++, f->alias);
		}
		next = at + 1;
	}
	return 0;
}

int shape_document(JsonValue *document, Arena *a)
{
	const Shape *shape = json_get(document, "HostConfig") ? &container
			     : json_get(document, "RootFS")   ? &image
			     : json_get(document, "IPAM")     ? &network
							      : &volume;
	return mark_struct(document, shape, a);
}
