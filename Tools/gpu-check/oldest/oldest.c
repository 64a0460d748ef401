#include "oldest.h"

#include <math.h>

// glibc has it under a new version since 2.35.
float hypotf(float x, float y) {
  if (isinf(x) || isinf(y)) return INFINITY;
  return (float)sqrt((double)x * x + (double)y * y);
}
