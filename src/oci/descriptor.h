/* descriptor.h: what every image document refers to other content with (OCI image specification 1.1, descriptor.md), and the
 * platform that may stand in it. */
#pragma once

#include "base/bind.h"

typedef struct Platform {
	const char *architecture, *os; /* "amd64", "linux": Go's words */
	const char *os_version;
	StrList os_features;
	const char *variant;
} Platform;

typedef struct Descriptor {
	const char *media_type;
	Digest digest;
	int64_t size; /* bytes, not negative */
	StrList urls;
	StrMap annotations;
	const char *data; /* the content itself in base64, which decodes to `size` bytes; its digest is the reader's to check */
	const Platform *platform;
	const char *artifact_type;
} Descriptor;

typedef LIST_OF(Descriptor) DescriptorList;

extern const BindTable platform_table, descriptor_table;

/* descriptor_check: what the table cannot say; path ("layers[3]") is for the message. */
int descriptor_check(const Descriptor *d, const char *document, const char *path, Err *e) MUST_USE;
