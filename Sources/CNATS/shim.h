#ifndef CNATS_SHIM_H
#define CNATS_SHIM_H

#include <nats/nats.h>
#include <pthread.h>

/* Declared by glibc for _GNU_SOURCE only, which Swift's module of it does not set. */
extern int pthread_setname_np(pthread_t thread, const char *name);

#endif
