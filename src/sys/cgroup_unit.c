/* cgroup_unit.c: the configuration's resources and annotations as properties of a systemd unit, marshalled as a(sv) items.
 * systemd.resource-control(5) and org.freedesktop.systemd1(5) have the names and types. */
#include "sys/cgroup_impl.h"

#include <ctype.h>

#include "sys/dbus.h"

enum { CPUS_MAX = 8192, PERIOD_DEFAULT = 100000, LIST_TEXT_MAX = 4096 };

/* ---- one property ---- */

static void property(Buf *b, const char *name, const char *signature)
{
	dbus_align(b, 8);
	dbus_put_string(b, name);
	dbus_put_signature(b, signature);
}

static void put_u64(Buf *b, const char *name, uint64_t v)
{
	property(b, name, "t");
	dbus_put_u64(b, v);
}

static void put_bool(Buf *b, const char *name, bool v)
{
	property(b, name, "b");
	dbus_put_bool(b, v);
}

static void put_string(Buf *b, const char *name, const char *v)
{
	property(b, name, "s");
	dbus_put_string(b, v);
}

static void put_strings(Buf *b, const char *name, const char *const *items, size_t n)
{
	property(b, name, "as");
	DBusArray a = dbus_open_array(b, 4);
	for (size_t i = 0; i < n; i++)
		dbus_put_string(b, items[i]);
	dbus_close_array(b, a);
}

/* ---- resources ---- */

/* -1 is infinity to systemd too. */
static uint64_t limit(int64_t v)
{
	return v < 0 ? UINT64_MAX : (uint64_t)v;
}

/* systemd counts in whole percents of a CPU second; rounded up, so that what is asked for still fits inside. */
static void put_quota(Buf *b, int64_t quota, uint64_t period)
{
	const uint64_t second = 1000000, percent = 10000;
	if (period) put_u64(b, "CPUQuotaPeriodUSec", period);
	if (!quota && !period) return;
	uint64_t value = UINT64_MAX;
	if (quota > 0) {
		if (!period) period = PERIOD_DEFAULT;
		if ((uint64_t)quota < UINT64_MAX / second) value = ((uint64_t)quota * second / period + percent - 1) / percent * percent;
	}
	put_u64(b, "CPUQuotaPerSecUSec", value);
}

/* "0-2,7" as a bit mask, lowest byte first. */
static int put_set(Buf *b, const char *name, const char *list, Err *e)
{
	uint8_t mask[CPUS_MAX / 8] = { 0 };
	size_t bytes = 0;
	Str rest = str_of(list), piece, low, high;
	while (str_next(&rest, ',', &piece)) {
		uint32_t from, to;
		piece = str_trim(piece);
		if (!piece.n) continue;
		if (!str_cut(piece, '-', &low, &high)) low = high = piece;
		if (str_to_u32(low, &from) < 0 || str_to_u32(high, &to) < 0 || from > to || to >= CPUS_MAX)
			return err_set(e, ERR_CONFIG, EINVAL, "%s: invalid list \"%.64s\"", name, list);
		for (uint32_t i = from; i <= to; i++)
			mask[i / 8] |= (uint8_t)(1U << (i % 8));
		if (to / 8 + 1 > bytes) bytes = to / 8 + 1;
	}
	if (!bytes) return err_set(e, ERR_CONFIG, EINVAL, "%s: empty list", name);
	property(b, name, "ay");
	DBusArray a = dbus_open_array(b, 1);
	buf_put(b, mask, bytes);
	dbus_close_array(b, a);
	return 0;
}

static int put_memory(Buf *b, const CgroupMemory *m, bool v2, Err *e)
{
	bool set = false;
	int64_t swap = 0;
	if (m->limit.set && m->limit.v) put_u64(b, v2 ? "MemoryMax" : "MemoryLimit", limit(m->limit.v));
	if (!v2) return 0;
	if (m->reservation.set && m->reservation.v) put_u64(b, "MemoryLow", limit(m->reservation.v));
	int r = cgroup_swap_from_total(m, &set, &swap, e);
	if (r >= 0 && set) put_u64(b, "MemorySwapMax", limit(swap));
	return r;
}

/* systemd 252 and later takes a weight of 0 as cpu.idle; a weight beside it makes no sense. */
enum { IDLE_VERSION = 252, OOM_POLICY_VERSION = 253 };

static int put_cpu(Buf *b, const CgroupCpu *c, bool v2, int version, Err *e)
{
	bool idle = v2 && c->idle.set && c->idle.v == 1 && version >= IDLE_VERSION;
	if (idle) put_u64(b, "CPUWeight", 0);
	if (c->shares.set && c->shares.v && !idle)
		put_u64(b, v2 ? "CPUWeight" : "CPUShares", v2 ? cgroup_weight_from_shares(c->shares.v) : c->shares.v);
	put_quota(b, c->quota.set ? c->quota.v : 0, c->period.set ? c->period.v : 0);
	int r = c->cpus && *c->cpus ? put_set(b, "AllowedCPUs", c->cpus, e) : 0;
	if (r >= 0 && c->mems && *c->mems) r = put_set(b, "AllowedMemoryNodes", c->mems, e);
	return r;
}

static void put_device(Buf *b, const CgroupDevice *d)
{
	char path[64], access[4];
	const char *kind = d->type == 'b' ? "block" : "char";
	if (d->major < 0 && d->minor >= 0) return; /* "*:n" cannot be said */
	if (d->major < 0)
		snprintf(path, sizeof path, "%s-*", kind);
	else if (d->minor < 0)
		snprintf(path, sizeof path, "%s-%jd", kind, (intmax_t)d->major);
	else
		snprintf(path, sizeof path, "/dev/%s/%jd:%jd", kind, (intmax_t)d->major, (intmax_t)d->minor);
	snprintf(access, sizeof access, "%s%s%s", d->access & CGROUP_READ ? "r" : "", d->access & CGROUP_WRITE ? "w" : "",
		 d->access & CGROUP_MKNOD ? "m" : "");
	dbus_align(b, 8);
	dbus_put_string(b, path);
	dbus_put_string(b, access);
}

static void put_policy(Buf *b, const char *policy)
{
	put_string(b, "DevicePolicy", policy);
	property(b, "DeviceAllow", "a(ss)"); /* an empty list drops what an existing unit has */
	dbus_close_array(b, dbus_open_array(b, 8));
}

/* systemd only knows lists of what is allowed. Lists that end with everything allowed are left to our own device program. */
static int put_devices(Buf *b, const CgroupResources *r, Err *e)
{
	size_t first = 0;
	bool open = false;
	CgroupDevice d = { 0 };
	for (size_t i = 0; i < r->devices.n; i++) {
		int k = cgroup_device_parse(&r->devices.items[i], &d, e);
		if (k < 0) return k;
		if (d.type != 'a') continue;
		first = i + 1;
		open = d.allow;
	}
	put_policy(b, open ? "auto" : "strict");
	if (open) return 0;
	property(b, "DeviceAllow", "a(ss)");
	DBusArray a = dbus_open_array(b, 8);
	for (size_t i = first; i < r->devices.n; i++)
		if (cgroup_device_parse(&r->devices.items[i], &d, e) >= 0 && d.allow) put_device(b, &d);
	dbus_close_array(b, a);
	return 0;
}

/* ---- unified ---- */

static int unified_number(const char *key, const char *value, uint64_t *ret, Err *e)
{
	*ret = UINT64_MAX;
	if (streq(value, "max")) return 0;
	return str_to_u64(str_of(value), ret) < 0
		       ? err_set(e, ERR_CONFIG, EINVAL, "unified resource \"%s\" value invalid: \"%.64s\"", key, value)
		       : 0;
}

static int unified_quota(Buf *b, const char *key, const char *value, Err *e)
{
	Str quota, period;
	uint64_t q = 0, p = PERIOD_DEFAULT;
	bool two = str_cut(str_of(value), ' ', &quota, &period);
	if ((!str_eq(quota, "max") && str_to_u64(quota, &q) < 0) || (two && str_to_u64(str_trim(period), &p) < 0) || q > INT64_MAX || !p)
		return err_set(e, ERR_CONFIG, EINVAL, "unified resource \"%s\" value invalid: \"%.64s\"", key, value);
	put_quota(b, (int64_t)q, p);
	return 0;
}

static int put_unified(Buf *b, const char *key, const char *text, int version, Err *e)
{
	static const struct {
		const char *key, *property;
	} numbers[] = {
		{ "cpu.weight", "CPUWeight" },          { "memory.high", "MemoryHigh" }, { "memory.low", "MemoryLow" },
		{ "memory.max", "MemoryMax" },          { "memory.min", "MemoryMin" },   { "pids.max", "TasksMax" },
		{ "memory.swap.max", "MemorySwapMax" },
	};
	char value[LIST_TEXT_MAX];
	Str trimmed = str_trim(str_of(text));
	int r = cgroup_unified_check(key, e);
	if (r < 0) return r;
	snprintf(value, sizeof value, "%.*s", (int)(trimmed.n < sizeof value ? trimmed.n : sizeof value - 1), trimmed.p);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		uint64_t v;
		if (!streq(key, numbers[i].key)) continue;
		r = unified_number(key, value, &v, e);
		if (r >= 0) put_u64(b, numbers[i].property, v || !streq(key, "pids.max") ? v : 1);
		return r;
	}
	if (streq(key, "cpu.max")) return unified_quota(b, key, value, e);
	if (streq(key, "cpuset.cpus")) return put_set(b, "AllowedCPUs", value, e);
	if (streq(key, "cpuset.mems")) return put_set(b, "AllowedMemoryNodes", value, e);
	if (streq(key, "cpu.idle") && streq(value, "1") && version >= IDLE_VERSION) put_u64(b, "CPUWeight", 0);
	return 0; /* the others reach the file itself in cgroup_apply() */
}

bool cgroup_unit_wants_version(const CgroupResources *r)
{
	return (r->cpu.idle.set && r->cpu.idle.v) || str_map_get(&r->unified, "cpu.idle") || str_map_get(&r->unified, "memory.oom.group");
}

int cgroup_unit_resources(const Cgroup *cg, const CgroupResources *r, bool update, int version, Buf *b, Err *e)
{
	bool v2 = cg->layout == CGROUP_V2;
	int k = r->devices.n && !update ? put_devices(b, r, e) : 0;
	if (k >= 0) k = put_memory(b, &r->memory, v2, e);
	if (k >= 0) k = put_cpu(b, &r->cpu, v2, version, e);
	if (k < 0) return k;
	if (r->block_io.weight.set && r->block_io.weight.v)
		put_u64(b, v2 ? "IOWeight" : "BlockIOWeight", v2 ? cgroup_io_weight(r->block_io.weight.v) : r->block_io.weight.v);
	if (r->pids_limit.set) put_u64(b, "TasksMax", r->pids_limit.v ? limit(r->pids_limit.v) : 1);
	for (size_t i = 0; i < r->unified.n && v2; i++) {
		k = put_unified(b, r->unified.items[i].key, r->unified.items[i].value, version, e);
		if (k < 0) return k;
	}
	return 0;
}

/* ---- annotations ---- */

/* What an annotation may set: limits, the way it is stopped, its order among units. Nothing that runs a program, changes who it
 * runs as or what the runtime decides itself. */
static const struct {
	const char *name, *type;
} allowed[] = {
	{ "After", "as" },
	{ "Before", "as" },
	{ "BindsTo", "as" },
	{ "BlockIOWeight", "t" },
	{ "CPUAccounting", "b" },
	{ "CPUQuotaPerSecUSec", "t" },
	{ "CPUQuotaPeriodUSec", "t" },
	{ "CPUShares", "t" },
	{ "CPUWeight", "t" },
	{ "CollectMode", "s" },
	{ "Conflicts", "as" },
	{ "DefaultDependencies", "b" },
	{ "DefaultMemoryLow", "t" },
	{ "DefaultMemoryMin", "t" },
	{ "Description", "s" },
	{ "Documentation", "as" },
	{ "FinalKillSignal", "i" },
	{ "IOAccounting", "b" },
	{ "IOWeight", "t" },
	{ "IPAccounting", "b" },
	{ "KillMode", "s" },
	{ "KillSignal", "i" },
	{ "ManagedOOMMemoryPressure", "s" },
	{ "ManagedOOMMemoryPressureLimit", "u" },
	{ "ManagedOOMPreference", "s" },
	{ "ManagedOOMSwap", "s" },
	{ "MemoryAccounting", "b" },
	{ "MemoryHigh", "t" },
	{ "MemoryLimit", "t" },
	{ "MemoryLow", "t" },
	{ "MemoryMax", "t" },
	{ "MemoryMin", "t" },
	{ "MemorySwapMax", "t" },
	{ "OOMPolicy", "s" },
	{ "PartOf", "as" },
	{ "Requires", "as" },
	{ "Requisite", "as" },
	{ "RuntimeMaxUSec", "t" },
	{ "SendSIGHUP", "b" },
	{ "SendSIGKILL", "b" },
	{ "StartupCPUWeight", "t" },
	{ "StartupIOWeight", "t" },
	{ "TasksAccounting", "b" },
	{ "TasksMax", "t" },
	{ "TimeoutStopUSec", "t" },
	{ "Wants", "as" },
};

/* A value in GVariant's text form, as far as properties need it. */
typedef struct Value {
	enum { VALUE_BOOL, VALUE_NUMBER, VALUE_STRING, VALUE_STRINGS } kind;
	bool boolean, negative;
	uint64_t whole;
	uint64_t millionths; /* behind the point */
	char *text;          /* string; strings one after the other, each with its NUL */
	size_t count, length;
} Value;

static void skip_blanks(const char **at)
{
	while (**at == ' ' || **at == '\t')
		++*at;
}

/* 'text' or "text", with \\ and \' and \". */
static int parse_quoted(const char **at, Value *v)
{
	char quote = **at;
	if (quote != '\'' && quote != '"') return -EINVAL;
	for (++*at; **at != quote; ++*at) {
		if (**at == '\\') {
			++*at;
			if (**at != '\\' && **at != '\'' && **at != '"') return -EINVAL;
		}
		if (!**at || (unsigned char)**at < ' ') return -EINVAL;
		v->text[v->length++] = **at;
	}
	++*at;
	v->text[v->length++] = 0;
	v->count++;
	return 0;
}

static int parse_list(const char **at, Value *v)
{
	v->kind = VALUE_STRINGS;
	++*at;
	skip_blanks(at);
	while (**at != ']') {
		int r = parse_quoted(at, v);
		if (r < 0) return r;
		skip_blanks(at);
		if (**at == ',') {
			++*at;
			skip_blanks(at);
			if (**at == ']') return -EINVAL;
		} else if (**at != ']') {
			return -EINVAL;
		}
	}
	++*at;
	return 0;
}

static int parse_number(const char **at, Value *v)
{
	v->kind = VALUE_NUMBER;
	v->negative = **at == '-';
	if (v->negative) ++*at;
	const char *digits = *at;
	while (isdigit((unsigned char)**at))
		++*at;
	int r = str_to_u64((Str){ digits, (size_t)(*at - digits) }, &v->whole);
	if (r < 0 || **at != '.') return r;
	uint64_t place = 100000;
	for (++*at; isdigit((unsigned char)**at); ++*at, place /= 10)
		v->millionths += (uint64_t)(**at - '0') * place;
	return 0;
}

/* "uint64 " and its like before a number; the property's own type decides in the end. */
static void skip_type(const char **at)
{
	static const char *const types[] = { "byte ",   "int16 ",  "uint16 ",  "int32 ", "uint32 ", "int64 ", "uint64 ",
					     "double ", "string ", "boolean ", "@as ",   "@t ",     "@s " };
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (starts_with(*at, types[i])) {
			*at += strlen(types[i]);
			skip_blanks(at);
			return;
		}
}

/* v->text has room for the whole text. */
static int parse_value(const char *text, Value *v)
{
	int r = 0;
	const char *at = text;
	skip_blanks(&at);
	skip_type(&at);
	if (starts_with(at, "true") || starts_with(at, "false")) {
		v->kind = VALUE_BOOL;
		v->boolean = *at == 't';
		at += v->boolean ? 4 : 5;
	} else if (*at == '[') {
		r = parse_list(&at, v);
	} else if (*at == '\'' || *at == '"') {
		v->kind = VALUE_STRING;
		r = parse_quoted(&at, v);
	} else {
		r = parse_number(&at, v);
	}
	skip_blanks(&at);
	return r < 0 ? r : *at ? -EINVAL : 0;
}

static int put_number(Buf *b, const char *name, const char *type, const Value *v)
{
	bool is_signed = *type == 'i';
	if (v->millionths || (v->negative && !is_signed)) return -EINVAL;
	if (*type == 't') {
		put_u64(b, name, v->whole);
		return 0;
	}
	if (v->whole > (is_signed ? INT32_MAX : UINT32_MAX)) return -ERANGE;
	property(b, name, type);
	dbus_put_u32(b, v->negative ? (uint32_t) - (int32_t)v->whole : (uint32_t)v->whole);
	return 0;
}

static int put_value(Buf *b, const char *name, const char *type, const Value *v)
{
	if (streq(type, "b") && v->kind == VALUE_BOOL) {
		put_bool(b, name, v->boolean);
		return 0;
	}
	if (streq(type, "s") && v->kind == VALUE_STRING) {
		put_string(b, name, v->text);
		return 0;
	}
	if (streq(type, "as") && v->kind == VALUE_STRINGS) {
		const char *at = v->text;
		property(b, name, "as");
		DBusArray a = dbus_open_array(b, 4);
		for (size_t i = 0; i < v->count; i++, at += strlen(at) + 1)
			dbus_put_string(b, at);
		dbus_close_array(b, a);
		return 0;
	}
	return strchr("tiu", *type) && v->kind == VALUE_NUMBER ? put_number(b, name, type, v) : -EINVAL;
}

/* "TimeoutStopSec" in seconds is the property TimeoutStopUSec in microseconds: a lower-case letter stands before "Sec". */
static bool seconds_name(const char *name, char to[static 64])
{
	size_t n = strlen(name);
	if (n < 4 || n > 60 || !ends_with(name, "Sec") || !islower((unsigned char)name[n - 4])) return false;
	snprintf(to, 64, "%.*sUSec", (int)(n - 3), name);
	return true;
}

static const char *allowed_type(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (streq(allowed[i].name, name)) return allowed[i].type;
	return NULL;
}

int cgroup_unit_annotation(const char *name, const char *text, Buf *b, Err *e)
{
	const uint64_t second = 1000000;
	char renamed[64];
	bool seconds = seconds_name(name, renamed);
	const char *property_name = seconds ? renamed : name, *type = allowed_type(property_name);
	if (!type) return err_set(e, ERR_SECURITY, EPERM, "annotation org.systemd.property.%.64s: this property cannot be set", name);
	AUTO_FREE char *room = malloc(strlen(text) + 2);
	if (!room) return err_sys(e, ENOMEM, "annotations");
	Value v = { .text = room };
	int r = parse_value(text, &v);
	if (r >= 0 && seconds) {
		r = v.kind != VALUE_NUMBER || v.negative ? -EINVAL : v.whole > UINT64_MAX / second - 1 ? -ERANGE : 0;
		v.whole = v.whole * second + v.millionths;
		v.millionths = 0;
	}
	if (r >= 0) r = put_value(b, property_name, type, &v);
	if (r < 0) return err_set(e, ERR_CONFIG, EINVAL, "annotation org.systemd.property.%.64s: cannot use the value %.128s", name, text);
	return 0;
}

static int put_annotations(const StrMap *annotations, Buf *b, Err *e)
{
	static const char prefix[] = "org.systemd.property.";
	for (size_t i = 0; annotations && i < annotations->n; i++) {
		if (!starts_with(annotations->items[i].key, prefix)) continue;
		int r = cgroup_unit_annotation(annotations->items[i].key + sizeof prefix - 1, annotations->items[i].value, b, e);
		if (r < 0) return r;
	}
	return 0;
}

/* ---- StartTransientUnit ---- */

static void put_oom_policy(const CgroupResources *r, int version, Buf *b)
{
	const char *group = str_map_get(&r->unified, "memory.oom.group");
	if (group && version >= OOM_POLICY_VERSION && (streq(group, "0") || streq(group, "1")))
		put_string(b, "OOMPolicy", *group == '1' ? "kill" : "continue");
}

static void put_pid(Buf *b, pid_t pid)
{
	property(b, "PIDs", "au");
	DBusArray a = dbus_open_array(b, 4);
	dbus_put_u32(b, (uint32_t)pid);
	dbus_close_array(b, a);
}

int cgroup_unit_start(const Cgroup *cg, const CgroupResources *r, const StrMap *annotations, const char *id, pid_t pid, int version, Buf *b,
		      Err *e)
{
	char description[256];
	snprintf(description, sizeof description, "container %s", id);
	dbus_put_string(b, cg->unit);
	dbus_put_string(b, "replace");
	DBusArray properties = dbus_open_array(b, 8);
	put_string(b, "Description", description);
	if (ends_with(cg->unit, ".slice")) {
		put_strings(b, "Wants", &cg->slice, 1);
	} else {
		put_string(b, "Slice", cg->slice);
		put_bool(b, "Delegate", true);
		if (pid > 0) put_pid(b, pid);
	}
	put_bool(b, "MemoryAccounting", true);
	put_bool(b, "CPUAccounting", true);
	put_bool(b, cg->layout == CGROUP_V2 ? "IOAccounting" : "BlockIOAccounting", true);
	put_bool(b, "TasksAccounting", true);
	put_bool(b, "DefaultDependencies", false);
	put_string(b, "CollectMode", "inactive-or-failed"); /* a failed scope must not keep its name */
	int k = put_annotations(annotations, b, e);
	if (k < 0) return k;
	put_oom_policy(r, version, b);
	k = cgroup_unit_resources(cg, r, false, version, b, e);
	if (k < 0) return k;
	dbus_close_array(b, properties);
	dbus_close_array(b, dbus_open_array(b, 8)); /* no auxiliary units */
	return 0;
}
