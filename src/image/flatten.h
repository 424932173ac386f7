/* flatten.h: the file system of an image as one tar, as a container of it would see it: `export` of an image. */
#pragma once

#include "image/catalog.h"
#include "oci/tar_write.h"

/* image_flatten: writes the tar to sink. Members in the order of their names, parents first; names of one file are hard links to the first; files
 * with holes become plain ones. The same image gives the same bytes. -ENOENT: a layer is not in the store. */
int image_flatten(ImageStore *s, const Digest *manifest, TarSink *sink, void *arg, Err *e) MUST_USE;
