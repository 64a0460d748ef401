// Looking at the table of a plug-in.
#ifndef ROOST_PLUGIN_TABLE_H
#define ROOST_PLUGIN_TABLE_H

#include "roost_device.h"

// The first required function that a table lacks; NULL: it has all.
const char *roost_device_table_missing(const roost_device_table *table);

#endif
