/* event.h: what happened to images, in the log of events (monitor/event_log.h). */
#pragma once

#include "image/catalog.h"

/* image_event: as docker's daemon writes it. id: the image's id ("sha256:…"), or for pull and push the name with its tag; name: what the event calls it.
 * The image's labels go with it, when it is there. An event that cannot be written is not the failure of what it tells. */
void image_event(ImageStore *s, const char *action, const char *id, const char *name);
/* image_event_removal: what a removal has done to the image. */
void image_event_removal(ImageStore *s, const Image *i, const Removal *done);
