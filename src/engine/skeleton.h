/* skeleton.h: what every container has, whatever its image: a directory that lies below the image in the container's root, so that what is mounted
 * into a container finds its place there, and nothing has to be made and removed for each. What the image has hides it. */
#pragma once

#include "engine/engine.h"

/* skeleton_open: <root>/skeleton, made when there is none; a negative errno where that cannot be done, as on a full disk: all works without. */
int skeleton_open(const Engine *g) MUST_USE;
