#include "CRoostPlatform.h"
