/* Lines about the device itself: start, statistics, end. */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>

/* `$B`: the device has booted. */
void report_boot(void);

/* The same to a host that asks; false if the console has no room at the moment. */
bool report_identity(void);

/* `$L`: all links are up, sensors start. */
void report_start(void);

/* `$S` for each task and link, then `$E`: no more runs come. */
void report_end(void);

#endif
