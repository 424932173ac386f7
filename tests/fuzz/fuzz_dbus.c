/* fuzz_dbus.c: no message, whatever its bytes, is read beyond its end; what is taken has all its strings. */
#include "fuzz.h"
#include "sys/dbus.h"

/* The body as its signature says. */
static void walk(const DBusMessage *m)
{
	DBusReader r = m->body;
	const char *signature = m->signature;
	while (*signature && !r.failed) {
		const char *before = signature;
		dbus_skip(&r, &signature);
		assert(r.failed || signature > before);
		assert(r.at <= r.n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	DBusMessage m;
	AUTO_FREE char *copy = fuzz_copy(data, n);
	if (n < 16) return 0;
	ssize_t size = dbus_size((const uint8_t *)copy);
	assert(size <= DBUS_MESSAGE_MAX);
	if (size < 0 || (size_t)size > n) return 0;
	if (dbus_parse((const uint8_t *)copy, (size_t)size, &m) < 0) return 0;
	assert(m.path && m.interface && m.member && m.error && m.sender && m.signature);
	walk(&m);
	(void)dbus_get_string(&m.body);
	return 0;
}
