/* spec_impl.h: between the files of spec.h. */
#pragma once

#include "engine/security.h"
#include "engine/spec.h"

/* SpecBuild: a specification being made. */
typedef struct SpecBuild {
	const SpecInput *in;
	const ContainerConfig *config;
	const HostConfig *host;
	Arena *a;
	OciSpec *s;
	OciLinux *lnx;
	Security security;
	bool new_userns;       /* a user namespace of its own */
	uint64_t capabilities; /* of the bounding set */
	Err *e;
} SpecBuild;

/* A network, pid, … mode of the host configuration. */
static inline bool mode_is(const char *mode, const char *name)
{
	return mode && streq(mode, name);
}
static inline bool mode_is_container(const char *mode)
{
	return mode && starts_with(mode, "container:");
}

/* spec_no_memory: for `return spec_no_memory(b)`. */
int spec_no_memory(const SpecBuild *b);

/* StrBuild: a list of strings with room for a known number of them. */
typedef struct StrBuild {
	StrList list;
	size_t room;
	bool failed;
} StrBuild;
int str_build_init(StrBuild *l, size_t room, Arena *a) MUST_USE;
/* str_build_add: NULL (memory ran out) is remembered for str_build_done(), which is -ENOMEM then. */
void str_build_add(StrBuild *l, const char *s);
void str_build_add_all(StrBuild *l, const StrList *from);
int str_build_done(StrBuild *l, StrList *ret) MUST_USE;

/* What create checks before anything is made, and start uses: the bounding set, and the limits. */
int capabilities_of(const HostConfig *h, uint64_t granted, uint64_t *ret, Err *e) MUST_USE;
int rlimits_of(const HostConfig *h, const Machine *m, Arena *a, Rlimits *ret, Err *e) MUST_USE;

int tmpfs_options(const char *text, const StrList *more, Arena *a, StrList *ret, Err *e) MUST_USE;
int device_rule_parse(const char *text, Arena *a, CgroupDeviceRule *ret, Err *e) MUST_USE;

/* seccomp_default: the profile of containers with those capabilities. seccomp_convert: that of a text in docker's format; NULL when it
 * asks for no filter. */
int seccomp_default(uint64_t caps, const Machine *m, Arena *a, SeccompProfile *ret) MUST_USE;
int seccomp_convert(const char *text, uint64_t caps, const Machine *m, Arena *a, SeccompProfile **ret, Err *e) MUST_USE;

int spec_add_namespaces(SpecBuild *b) MUST_USE;
int spec_add_process(SpecBuild *b) MUST_USE;
int spec_add_capabilities(SpecBuild *b) MUST_USE;
int spec_add_rlimits(SpecBuild *b) MUST_USE;
int spec_add_mounts(SpecBuild *b) MUST_USE;
/* spec_check_propagation: whether a bind of source can have the propagation that its options ask for. */
int spec_check_propagation(SpecBuild *b, const char *source, const StrList *options) MUST_USE;
int spec_add_devices(SpecBuild *b) MUST_USE;
int spec_add_resources(SpecBuild *b) MUST_USE;
int spec_add_sysctls(SpecBuild *b) MUST_USE;
int spec_add_seccomp(SpecBuild *b) MUST_USE;
int spec_add_paths(SpecBuild *b) MUST_USE;
