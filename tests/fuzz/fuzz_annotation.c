/* fuzz_annotation.c: an annotation org.systemd.property.<name> (the first line) with any value (the rest) is refused with a reason or
 * becomes one well-formed property. */
#include "fuzz.h"
#include "sys/cgroup_impl.h"
#include "sys/dbus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	Err e = ERR_INIT;
	AUTO_BUF b = BUF_INIT(1 << 20);
	AUTO_FREE char *text = fuzz_copy(data, n);
	char *value = strchr(text, '\n');
	if (!value) return 0;
	*value++ = 0;
	if (cgroup_unit_annotation(text, value, &b, &e) < 0) {
		assert(e.code == ERR_SECURITY || e.code == ERR_CONFIG);
		return 0;
	}
	assert(!buf_failed(&b));
	DBusReader r = { .p = (const uint8_t *)buf_str(&b), .n = b.n };
	assert(*dbus_get_string(&r));
	const char *signature = dbus_get_signature(&r);
	assert(strchr("tsbiua", *signature));
	dbus_skip(&r, &signature);
	assert(!r.failed && !*signature && r.at == r.n);
	return 0;
}
