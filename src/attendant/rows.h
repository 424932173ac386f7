/* rows.h: what the database says of a container's names. */
#pragma once

#include "attendant/document.h"
#include "engine/engine.h"

/* RowsRuns: does the container with that id run? Its rows stay a while when it has ended. */
typedef bool RowsRuns(const void *arg, const char *id);

/* rows_document: of the container with that id: its names and addresses on networks that are not predefined, its links to those that run, and which servers it asks: as docker has
 * it (resolver.h, names.h). *ret_links: some of it is the addresses of others. Names that DNS cannot carry are left out: its id always remains. -ENOENT. */
int rows_document(Engine *g, const char *id, RowsRuns *runs, const void *arg, Arena *a, Document *ret, bool *ret_links, Err *e) MUST_USE;
