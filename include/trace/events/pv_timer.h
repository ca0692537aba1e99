/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the paravirtual timer does. Expiries are in ns of CLOCK_MONOTONIC, all other
 * times in ticks of the backend's counter. See Documentation/timers/pv.rst.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pv_timer

#if !defined(_TRACE_PV_TIMER_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_PV_TIMER_H

#include <linux/tracepoint.h>
#include <linux/types.h>

/*
 * The plain path has no event, so that it is not longer for one that is off. While
 * one of those that would be there is on, all CPUs take the general path.
 */
DECLARE_EVENT_CLASS(pv_timer_request,
		    TP_PROTO(u64 expires, u64 deadline, u64 now),
		    TP_ARGS(expires, deadline, now),
		    TP_STRUCT__entry(__field(u64, expires)
				     __field(u64, deadline)
				     __field(u64, now)),
		    TP_fast_assign(__entry->expires = expires;
				   __entry->deadline = deadline;
				   __entry->now = now;),
		    TP_printk("expires=%llu deadline=%llu now=%llu ahead=%lld",
			      __entry->expires, __entry->deadline, __entry->now,
			      (s64)(__entry->deadline - __entry->now)));

/* A deadline is handed to the hypervisor, for the kernel or for the core itself */
DEFINE_EVENT_FN(pv_timer_request, pv_timer_arm,
		TP_PROTO(u64 expires, u64 deadline, u64 now),
		TP_ARGS(expires, deadline, now),
		pv_timer_trace_on, pv_timer_trace_off);

/*
 * A request needs none: that deadline is armed. One that has passed while the event
 * handler runs, which serves it, is its own deadline.
 */
DEFINE_EVENT_FN(pv_timer_request, pv_timer_elide,
		TP_PROTO(u64 expires, u64 deadline, u64 now),
		TP_ARGS(expires, deadline, now),
		pv_timer_trace_on, pv_timer_trace_off);

TRACE_DEFINE_ENUM(PV_TIMER_EVENTS);
TRACE_DEFINE_ENUM(PV_TIMER_EARLY);
TRACE_DEFINE_ENUM(PV_TIMER_SUPERSEDED);
TRACE_DEFINE_ENUM(PV_TIMER_SPURIOUS);
TRACE_DEFINE_ENUM(PV_TIMER_LOST);
TRACE_DEFINE_ENUM(PV_TIMER_REFUSED);

/* An interrupt; if nothing is armed, the deadline is what was armed last */
TRACE_EVENT_FN(pv_timer_interrupt,
	       TP_PROTO(unsigned int kind, u64 deadline, u64 now),
	       TP_ARGS(kind, deadline, now),
	       TP_STRUCT__entry(__field(unsigned int, kind)
				__field(u64, deadline)
				__field(u64, now)),
	       TP_fast_assign(__entry->kind = kind;
			      __entry->deadline = deadline;
			      __entry->now = now;),
	       TP_printk("kind=%s deadline=%llu now=%llu late=%lld",
			 __print_symbolic(__entry->kind,
					  { PV_TIMER_EVENTS, "event" },
					  { PV_TIMER_EARLY, "early" },
					  { PV_TIMER_SUPERSEDED, "superseded" },
					  { PV_TIMER_SPURIOUS, "spurious" }),
			 __entry->deadline, __entry->now,
			 (s64)(__entry->now - __entry->deadline)),
	       pv_timer_trace_on, pv_timer_trace_off);

/* The hypervisor has lost or refused a deadline */
TRACE_EVENT(pv_timer_failed,
	    TP_PROTO(unsigned int how, u64 expires, u64 deadline, int err),
	    TP_ARGS(how, expires, deadline, err),
	    TP_STRUCT__entry(__field(unsigned int, how)
			     __field(u64, expires)
			     __field(u64, deadline)
			     __field(int, err)),
	    TP_fast_assign(__entry->how = how;
			   __entry->expires = expires;
			   __entry->deadline = deadline;
			   __entry->err = err;),
	    TP_printk("how=%s expires=%llu deadline=%llu err=%d",
		      __print_symbolic(__entry->how,
				       { PV_TIMER_LOST, "lost" },
				       { PV_TIMER_REFUSED, "refused" }),
		      __entry->expires, __entry->deadline, __entry->err));

/* What becomes of the timer of a CPU, and the deadline that it has until then, 0 for none */
DECLARE_EVENT_CLASS(pv_timer_mode,
		    TP_PROTO(u64 deadline),
		    TP_ARGS(deadline),
		    TP_STRUCT__entry(__field(u64, deadline)),
		    TP_fast_assign(__entry->deadline = deadline;),
		    TP_printk("deadline=%llu", __entry->deadline));

/* The kernel wants no more interrupt; what is armed stays so */
DEFINE_EVENT(pv_timer_mode, pv_timer_stop,
	     TP_PROTO(u64 deadline),
	     TP_ARGS(deadline));

/* It is disarmed */
DEFINE_EVENT(pv_timer_mode, pv_timer_shutdown,
	     TP_PROTO(u64 deadline),
	     TP_ARGS(deadline));

/* What was armed before a suspend or a restore is forgotten */
DEFINE_EVENT(pv_timer_mode, pv_timer_resume,
	     TP_PROTO(u64 deadline),
	     TP_ARGS(deadline));

/* The same, and what is wanted is armed again */
DEFINE_EVENT(pv_timer_mode, pv_timer_restart,
	     TP_PROTO(u64 deadline),
	     TP_ARGS(deadline));

/* A backend was tried: it ticks from now on, or the error says why it does not */
TRACE_EVENT(pv_timer_backend,
	    TP_PROTO(const char *name, int rating, u64 hz, int err),
	    TP_ARGS(name, rating, hz, err),
	    TP_STRUCT__entry(__string(name, name)
			     __field(int, rating)
			     __field(u64, hz)
			     __field(int, err)),
	    TP_fast_assign(__assign_str(name);
			   __entry->rating = rating;
			   __entry->hz = hz;
			   __entry->err = err;),
	    TP_printk("name=%s rating=%d hz=%llu err=%d", __get_str(name),
		      __entry->rating, __entry->hz, __entry->err));

#endif /* _TRACE_PV_TIMER_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
