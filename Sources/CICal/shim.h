#ifndef CICAL_SHIM_H
#define CICAL_SHIM_H

/* Recurrence rules only: what they need of libical, not its whole face. */
#include <libical/icalerror.h>
#include <libical/icalrecur.h>

#endif
