#pragma once
#include "roost.h"
#include "abi_thread.h"
