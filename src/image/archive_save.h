/* archive_save.h: images of the store as an archive or a directory, for docker, podman, skopeo and others.
 *
 *  - ARCHIVE_DOCKER is what `docker save` writes since 25: an OCI image layout and docker's archive (manifest.json, repositories) in one. ARCHIVE_OCI
 *    is the layout alone.
 *  - Documents and compressed layers are written as they are, so all digests are those of the store. A layer whose compressed form is not kept is
 *    written as its tar, under a manifest that says so: that image's digest is another one, which is told.
 *  - The same images give the same bytes: members are sorted, times are 0, owners root.
 *  - An image that was chosen from an index is saved with all of the index when the store has every image that the index names, with the
 *    compressed layers as they came: index.json then names the index, as docker has it; manifest.json, which knows no platforms, names the
 *    image. Else the image is saved alone, and where a platform is asked for.
 */
#pragma once

#include "image/catalog.h"
#include "oci/platform.h"

typedef enum { ARCHIVE_DOCKER, ARCHIVE_OCI } ArchiveFormat;

typedef struct SaveImage {
	const Image *image;
	StrList names; /* to be recorded: whole, with tags; may be none */
} SaveImage;

typedef struct SaveRequest {
	const SaveImage *images;
	size_t n;
	ArchiveFormat format;
	const Platform *platform; /* the image of this platform, of those of its index; NULL: what there is. Normal */
	void (*warn)(void *arg, const char *line);
	void *arg;
} SaveRequest;

/* archive_save: to fd, a file or pipe, from where it stands. Nothing is copied aside. */
int archive_save(ImageStore *s, const SaveRequest *req, int fd, Err *e) MUST_USE;
/* archive_save_dir: into the directory path, which is made, or empty. Nothing is left of it after a failure. */
int archive_save_dir(ImageStore *s, const SaveRequest *req, const char *path, Err *e) MUST_USE;
