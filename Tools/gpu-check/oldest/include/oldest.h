// What stands in for functions that glibc 2.34 does not have under the version that the Swift runtime asks for.
#ifndef GPU_CHECK_OLDEST_H
#define GPU_CHECK_OLDEST_H

float hypotf(float x, float y);

#endif
