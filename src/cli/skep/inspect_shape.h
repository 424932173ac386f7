/* inspect_shape.h: which objects of an inspected document are structs in docker's API, which maps, and what it has that documents leave out.
 *
 * docker's templates see its structs: {{.HostConfig.RestartPolicy}} is "{no 0}", a list that is null "[]", a health check that is not there
 * "<nil>".
 */
#pragma once

#include "base/json.h"

/* shape_document: of a container, an image, a volume or a network: marks the values of a parsed document (json.h, JSON_STRUCT and so on), adds the members that are
 * left out, and sorts maps by their keys, as Go's documents have them. -ENOMEM. */
int shape_document(JsonValue *document, Arena *a) MUST_USE;
