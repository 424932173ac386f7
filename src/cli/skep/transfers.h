/* transfers.h: pulling on behalf of another command. */
#pragma once

#include "cli/skep/commands.h"
#include "image/store.h"

/* pull_image: as `skep pull` does, with its progress on standard error; platform may be NULL. */
int pull_image(Invocation *in, ImageStore *store, const char *name, const char *platform, bool quiet, Err *e) MUST_USE;
