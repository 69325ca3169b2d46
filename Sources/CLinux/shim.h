// What Swift's Glibc module leaves out: functions behind _GNU_SOURCE, and variadic ones.
#ifndef CARILLON_CLINUX_SHIM_H
#define CARILLON_CLINUX_SHIM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

extern int pthread_setname_np(pthread_t thread, const char *name);

// The calling thread's sleeps end within `nanoseconds` of their time; the default is 50 µs, which saves power.
static inline int carillon_set_timer_slack(unsigned long nanoseconds) {
    return prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0);
}

// The calling thread, and those that it makes from now on, do not interrupt others when they wake; or do so again.
// Returns 0 if that is so.
static inline int carillon_set_batch(int is_batch) {
    struct sched_param parameters = {0};
    return sched_setscheduler(0, is_batch ? SCHED_BATCH : SCHED_OTHER, &parameters);
}

#endif
