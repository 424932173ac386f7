/* features.c: the features document (runtime-spec features.md, features-linux.md): what this runtime can do on any machine, known to the
 * program without asking the kernel, but for the flags whose support the document asks about. */
#include <unistd.h>

#include "runtime/container.h"
#include "sys/cap.h"
#include "sys/mount.h"

static void put_names(JsonWriter *w, const char *key, const BindName *names)
{
	json_key(w, key);
	json_begin_array(w);
	for (; names->name; names++)
		if (*names->name) json_string(w, names->name);
	json_end_array(w);
}

static void put_enabled(JsonWriter *w, const char *key, bool enabled)
{
	json_key(w, key);
	json_begin_object(w);
	json_put_bool(w, "enabled", enabled);
	json_end_object(w);
}

static void put_option(void *data, const char *name)
{
	json_string(data, name);
}

static void put_hooks_and_mounts(JsonWriter *w)
{
	static const char *const hooks[] = { "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop" };
	json_key(w, "hooks");
	json_begin_array(w);
	for (size_t i = 0; i < ARRAY_LEN(hooks); i++)
		json_string(w, hooks[i]);
	json_end_array(w);
	json_key(w, "mountOptions");
	json_begin_array(w);
	mount_option_names(put_option, w);
	json_end_array(w);
}

static void put_seccomp(JsonWriter *w)
{
	unsigned supported = seccomp_flags_supported();
	json_key(w, "seccomp");
	json_begin_object(w);
	json_put_bool(w, "enabled", true);
	put_names(w, "actions", seccomp_action_names);
	put_names(w, "operators", seccomp_op_names);
	put_names(w, "archs", seccomp_arch_names);
	put_names(w, "knownFlags", seccomp_flag_names);
	json_key(w, "supportedFlags");
	json_begin_array(w);
	for (const BindName *n = seccomp_flag_names; n->name; n++)
		if (supported & (unsigned)n->value) json_string(w, n->name);
	json_end_array(w);
	json_end_object(w);
}

static void put_cgroup(JsonWriter *w)
{
	json_key(w, "cgroup");
	json_begin_object(w);
	json_put_bool(w, "v1", true);
	json_put_bool(w, "v2", true);
	json_put_bool(w, "systemd", true);
	json_put_bool(w, "systemdUser", true);
	json_put_bool(w, "rdma", true);
	json_end_object(w);
}

static void put_rdt(JsonWriter *w)
{
	json_key(w, "intelRdt");
	json_begin_object(w);
	json_put_bool(w, "enabled", true);
	json_put_bool(w, "schemata", true);
	json_put_bool(w, "monitoring", true);
	json_end_object(w);
}

static void put_memory_policy(JsonWriter *w)
{
	json_key(w, "memoryPolicy");
	json_begin_object(w);
	put_names(w, "modes", memory_policy_mode_names);
	put_names(w, "flags", memory_policy_flag_names);
	json_end_object(w);
}

static void put_linux(JsonWriter *w)
{
	json_key(w, "linux");
	json_begin_object(w);
	put_names(w, "namespaces", oci_namespace_names);
	put_names(w, "capabilities", cap_names);
	put_cgroup(w);
	put_seccomp(w);
	put_enabled(w, "apparmor", true);
	put_enabled(w, "selinux", true);
	put_rdt(w);
	put_memory_policy(w);
	json_key(w, "mountExtensions");
	json_begin_object(w);
	put_enabled(w, "idmap", true);
	json_end_object(w);
	put_enabled(w, "netDevices", true);
	json_end_object(w);
}

void container_features_write(JsonWriter *w)
{
	json_begin_object(w);
	json_put_string(w, "ociVersionMin", "1.0.0");
	json_put_string(w, "ociVersionMax", OCI_VERSION);
	put_hooks_and_mounts(w);
	put_linux(w);
	json_key(w, "potentiallyUnsafeConfigAnnotations");
	json_begin_array(w);
	json_string(w, "org.systemd.property.");
	json_end_array(w);
	json_end_object(w);
}
