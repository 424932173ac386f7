/* archive_load.h: images from archives and directories into the store: what `docker save`, `podman save`, buildx, skopeo and others write.
 *
 *  - An OCI image layout (index.json, blobs/…), docker's archive (manifest.json), and archives that are both: the layout then counts, as it has the
 *    manifests that registries know. The tar may be compressed as a whole with gzip, zstd, xz or bzip2, and may come through a pipe.
 *  - The bytes of documents and compressed layers are kept and checked against their digests, so that a push or save gives the same again. A layer
 *    that is not compressed is its own tar: nothing else is kept of it. Docker's archive has no manifest: one is made, the same for the same archive.
 *  - Each image is committed as a whole, or nothing of it.
 *
 * Until its commit an image of n layers needs up to 3 n descriptors: programs raise their limit (sys/fd_limit.h).
 *
 * Archives of docker before 1.10, which have neither of the two documents, are refused.
 */
#pragma once

#include "image/catalog.h"
#include "image/transfer_client.h"
#include "oci/platform.h"

typedef struct LoadRequest {
	const Platform
		*platform;     /* which of an image of several; only those of it are loaded. NULL: this machine's where there is a choice */
	const char *worker;    /* TransferOptions.program */
	TransferLimits limits; /* of the archive and of each layer when inflated */
	/* loaded: a line as docker's client prints it: "Loaded image: debian:12", "Loaded image ID: sha256:…" */
	void (*loaded)(void *arg, const char *line);
	void *arg;
} LoadRequest;

/* archive_load: from fd: a file (from its first byte), a pipe, or a directory that is an OCI image layout or an unpacked archive of docker.
 * Returns how many images were loaded. */
int archive_load(ImageStore *s, int fd, const LoadRequest *req, Err *e) MUST_USE;
