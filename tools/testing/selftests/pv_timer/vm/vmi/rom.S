/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The head of the ROM: what a BIOS looks for, and what a VMI guest does. mkrom.py
 * fills in the checksum, and what is wrong with a ROM that tests the guest.
 */
	.section .head, "awx"
	.code16
	.byte	0x55, 0xaa
	.byte	rom_units
	jmp	bios_init
	.org	7
	.byte	0			/* the checksum */
	.ascii	"cVmi"
	.byte	0, 3			/* the version of the API: minor, major */
	.org	22
	.short	licence
	.short	pci
	.org	128
	.code32
	jmp	vmi_init
	.org	136
	jmp	vmi_relocation
	.org	144
	.code16
/* By the BIOS, while it can still be written: there is nothing to do */
bios_init:
	lret
	.org	160
licence:
	.asciz	"GPL"
	.balign	4
pci:
	.ascii	"PCIR"
	.short	0x15ad, 0x0801		/* VMware's VMI ROM */
	.short	0, 24
	.byte	0, 0, 0, 5		/* a memory controller */
	.short	rom_units, 0
	.byte	0, 0x80, 0, 0
