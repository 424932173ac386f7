/* spec_resources.c: what no control group takes, whatever the machine: told with its place before anything is made. What only this
 * machine lacks (a controller, a page size, a CPU) is for sys/cgroup.h to say. As with runc, 0 means "not set" for most numbers. */
#include "oci/spec.h"

static int check_cpu(const CgroupCpu *c, const char *where, Err *e)
{
	static const char list[] = "0123456789-,:/ \t\nalN"; /* the kernel's lists: "0-3,8", "0-31:2/4", "all", "N" */
	if (c->cpus && c->cpus[strspn(c->cpus, list)])
		return err_set(e, ERR_CONFIG, EINVAL, "%scpu.cpus: expected a list such as \"0-3,8\", got \"%.64s\"", where, c->cpus);
	if (c->mems && c->mems[strspn(c->mems, list)])
		return err_set(e, ERR_CONFIG, EINVAL, "%scpu.mems: expected a list such as \"0-1\", got \"%.64s\"", where, c->mems);
	if (c->period.set && c->period.v && (c->period.v < 1000 || c->period.v > 1000000))
		return err_set(e, ERR_CONFIG, EINVAL, "%scpu.period: expected 1000 to 1000000 (microseconds), got %ju", where,
			       (uintmax_t)c->period.v);
	if (c->quota.set && c->quota.v > 0 && c->quota.v < 1000)
		return err_set(e, ERR_CONFIG, EINVAL, "%scpu.quota: expected at least 1000 (microseconds), or -1 for no limit, got %jd",
			       where, (intmax_t)c->quota.v);
	if (c->idle.set && c->idle.v != 0 && c->idle.v != 1)
		return err_set(e, ERR_CONFIG, EINVAL, "%scpu.idle: expected 0 or 1, got %jd", where, (intmax_t)c->idle.v);
	return 0;
}

static int check_weight(OptUint weight, const char *where, const char *name, Err *e)
{
	if (!weight.set || weight.v == 0 || (weight.v >= 10 && weight.v <= 1000)) return 0;
	return err_set(e, ERR_CONFIG, EINVAL, "%sblockIO.%s: expected 10 to 1000, got %ju", where, name, (uintmax_t)weight.v);
}

static int check_block_io(const CgroupBlockIo *b, const char *where, Err *e)
{
	int r;
	if ((r = check_weight(b->weight, where, "weight", e)) < 0) return r;
	if ((r = check_weight(b->leaf_weight, where, "leafWeight", e)) < 0) return r;
	for (size_t i = 0; i < b->weight_device.n; i++) {
		char name[64];
		snprintf(name, sizeof name, "weightDevice[%zu].weight", i);
		if ((r = check_weight(b->weight_device.items[i].weight, where, name, e)) < 0) return r;
		snprintf(name, sizeof name, "weightDevice[%zu].leafWeight", i);
		if ((r = check_weight(b->weight_device.items[i].leaf_weight, where, name, e)) < 0) return r;
	}
	return 0;
}

static int check_device_rules(const CgroupResources *r, const char *where, Err *e)
{
	for (size_t i = 0; i < r->devices.n; i++) {
		const CgroupDeviceRule *d = &r->devices.items[i];
		if (d->type && *d->type && (strlen(d->type) != 1 || !strchr("abc", *d->type)))
			return err_set(e, ERR_CONFIG, EINVAL, "%sdevices[%zu].type: unknown value \"%.16s\"; allowed: \"a\", \"b\", \"c\"",
				       where, i, d->type);
		if (d->access && d->access[strspn(d->access, "rwma")]) /* an "a" there means nothing; some engines write it */
			return err_set(e, ERR_CONFIG, EINVAL, "%sdevices[%zu].access: expected some of the letters r, w, m, got \"%.16s\"",
				       where, i, d->access);
	}
	return 0;
}

/* "64KB", "2MB", "1GB": as the kernel names the files. */
static bool is_page_size(const char *s)
{
	size_t digits = strspn(s, "0123456789");
	return digits && s[0] != '0' && (streq(s + digits, "KB") || streq(s + digits, "MB") || streq(s + digits, "GB"));
}

static int check_hugepages(const CgroupResources *r, const char *where, Err *e)
{
	for (size_t i = 0; i < r->hugepages.n; i++)
		if (!is_page_size(r->hugepages.items[i].page_size))
			return err_set(
				e, ERR_CONFIG, EINVAL,
				"%shugepageLimits[%zu].pageSize: expected a size such as \"64KB\", \"2MB\" or \"1GB\", got \"%.32s\"",
				where, i, r->hugepages.items[i].page_size);
	return 0;
}

static int check_unified(const StrMap *m, const char *where, Err *e)
{
	for (size_t i = 0; i < m->n; i++) {
		const char *key = m->items[i].key, *dot = strchr(key, '.');
		if (!dot || dot == key || !dot[1] || strchr(key, '/'))
			return err_set(
				e, ERR_CONFIG, EINVAL,
				"%sunified: unified resource \"%.64s\" must be a file name (no slashes) in the form CONTROLLER.PARAMETER",
				where, key);
	}
	return 0;
}

int oci_resources_check(const CgroupResources *r, const char *where, Err *e)
{
	int x;
	if ((x = check_device_rules(r, where, e)) < 0) return x;
	if ((x = check_cpu(&r->cpu, where, e)) < 0) return x;
	if ((x = check_block_io(&r->block_io, where, e)) < 0) return x;
	if ((x = check_hugepages(r, where, e)) < 0) return x;
	return check_unified(&r->unified, where, e);
}
