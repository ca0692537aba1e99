// SPDX-License-Identifier: GPL-2.0
/*
 * Count the timer hypercalls of PV guests, dom0 among them, in what xentrace
 * has written: "pvt: calls vcpu_op:8=1234 ...".
 *
 * A record is a word with the event in bits 0-27, the number of further words
 * in bits 28-30 and in bit 31 whether a time of two words comes before them, see
 * xen/include/public/trace.h.
 */
#include <stdint.h>
#include <stdio.h>

#include "kselftest.h"

#define EVENT(head)			((head) & 0xfffffff)
#define EXTRA(head)			((head) >> 28 & 7)
#define HAS_TIME(head)			((head) >> 31)

#define TRC_LOST_RECORDS		0x01f001
#define TRC_PV_HYPERCALL_V2		0x20100d
#define TRC_PV_HYPERCALL_SUBCALL	0x20100e
#define TRC_64_FLAG			0x100
#define TRC_PV_HYPERCALL_V2_OP		0xfffff

#define __HYPERVISOR_set_timer_op	15
#define __HYPERVISOR_vcpu_op		24

static unsigned long vcpu_op[32], set_timer_op, lost;

static void count(uint32_t event, const uint32_t *extra)
{
	uint32_t op = extra[0] & TRC_PV_HYPERCALL_V2_OP;

	if (event == TRC_LOST_RECORDS)
		lost += extra[0];
	event &= ~TRC_64_FLAG;
	if (event != TRC_PV_HYPERCALL_V2 && event != TRC_PV_HYPERCALL_SUBCALL)
		return;
	if (op == __HYPERVISOR_set_timer_op)
		set_timer_op++;
	else if (op == __HYPERVISOR_vcpu_op && extra[1] < ARRAY_SIZE(vcpu_op))
		vcpu_op[extra[1]]++;
}

int main(void)
{
	uint32_t head, words[9];
	size_t i, time, len;

	while (fread(&head, sizeof(head), 1, stdin) == 1) {
		time = HAS_TIME(head) ? 2 : 0;
		len = time + EXTRA(head);
		for (i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = 0;
		if (fread(words, sizeof(*words), len, stdin) != len)
			break;
		count(EVENT(head), words + time);
	}
	printf("pvt: calls lost_records=%lu set_timer_op=%lu", lost, set_timer_op);
	for (i = 0; i < ARRAY_SIZE(vcpu_op); i++) {
		if (vcpu_op[i])
			printf(" vcpu_op:%zu=%lu", i, vcpu_op[i]);
	}
	printf("\n");
	return 0;
}
