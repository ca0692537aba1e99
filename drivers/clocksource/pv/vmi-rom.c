// SPDX-License-Identifier: GPL-2.0
/*
 * Find the ROM of a VMI hypervisor, check it, and ask it for its calls
 *
 * What runs is a copy, so the bytes that were checked are those that run. A ROM
 * that is not what it should be is named in the log with the reason, and another
 * backend ticks.
 */
#define pr_fmt(fmt) "pv_timer: " fmt

#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/io.h>
#include <linux/license.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/set_memory.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include <asm/apicdef.h>
#include <asm/fixmap.h>

#include "vmi-rom.h"

/* Where ROMs are, and how far apart at least */
#define VMI_ROM_BEGIN		0xc0000
#define VMI_ROM_END		0xe0000
#define VMI_ROM_STEP		2048

#define VMI_ROM_SIGNATURE	0xaa55
#define VMI_ROM_UNIT		512
#define VMI_API_MAJOR		3

/* How an entry of the ROM is to be used */
#define VMI_RELOCATION_CALL	1

struct vmi_rom_header {
	u16	signature;
	u8	units;			/* its length, in 512 bytes */
	u8	bios_init[5];
	char	name[4];		/* "cVmi" */
	u8	api_minor;
	u8	api_major;
	u8	reserved[8];
	u16	licence;		/* offset of a string */
	u16	pci;			/* offset of the PCI data structure */
	u8	other[102];
	u8	init[8];		/* code */
	u8	relocation[8];		/* likewise */
} __packed;

static_assert(offsetof(struct vmi_rom_header, pci) == 24);
static_assert(offsetof(struct vmi_rom_header, init) == 128);
static_assert(sizeof(struct vmi_rom_header) == 144);

struct vmi_rom vmi_rom __ro_after_init;

/* The number of each call, and where its address goes */
static const struct {
	u32	number;
	void	*call;
} vmi_rom_calls[] = {
	{ 48, &vmi_rom.set_linear_mapping },
	{ 66, &vmi_rom.get_cycle_frequency },
	{ 67, &vmi_rom.get_cycle_counter },
	{ 68, &vmi_rom.set_alarm },
	{ 69, &vmi_rom.cancel_alarm },
};

static bool vmi_rom_contains(const struct vmi_rom_header *rom, u32 address)
{
	u32 offset = address - (u32)rom;

	return offset >= sizeof(*rom) && offset < rom->units * VMI_ROM_UNIT;
}

static u8 vmi_rom_sum(const struct vmi_rom_header *rom)
{
	const u8 *byte = (const u8 *)rom;
	u32 i;
	u8 sum = 0;

	for (i = 0; i < rom->units * VMI_ROM_UNIT; i++)
		sum += byte[i];
	return sum;
}

/* Return: a string inside of the ROM, or NULL */
static const char *vmi_rom_string(const struct vmi_rom_header *rom, u16 offset)
{
	const char *string = (const char *)rom + offset;
	u32 size = rom->units * VMI_ROM_UNIT;

	return offset < size && strnlen(string, size - offset) < size - offset ? string : NULL;
}

/* Return: what is wrong with it, or NULL */
static const char *vmi_rom_wrong(const struct vmi_rom_header *rom)
{
	const char *licence = vmi_rom_string(rom, rom->licence);
	const char *pci = vmi_rom_string(rom, rom->pci);

	if (vmi_rom_sum(rom))
		return "its checksum is wrong";
	if (rom->api_major != VMI_API_MAJOR)
		return "its API is not version 3";
	if (!licence || !license_is_gpl_compatible(licence))
		return "its licence is not compatible with the GPL";
	if (!pci || strncmp(pci, "PCIR", 4))
		return "it has no PCI header";
	return NULL;
}

/* Return: what is wrong with the code, or NULL once all calls are known */
static const char *vmi_rom_bind(const struct vmi_rom_header *rom)
{
	u32 (*init)(void) = (void *)rom->init;
	u64 (*relocation)(u32 call) = (void *)rom->relocation;
	u64 found;
	int i;

	if (init())
		return "it does not start";
	for (i = 0; i < ARRAY_SIZE(vmi_rom_calls); i++) {
		found = relocation(vmi_rom_calls[i].number);
		if ((u8)(found >> 32) != VMI_RELOCATION_CALL)
			return "it lacks a call of the timer";
		if (!vmi_rom_contains(rom, found))
			return "an entry is outside";
		*(u32 *)vmi_rom_calls[i].call = found;
	}
	return NULL;
}

/* A copy that can run, or NULL. It has its data in it, so it stays writable. */
static struct vmi_rom_header *vmi_rom_copy(const struct vmi_rom_header *rom)
{
	u32 size = rom->units * VMI_ROM_UNIT;
	void *copy = vmalloc(size);

	if (copy && set_memory_x((unsigned long)copy, PFN_UP(size))) {
		vfree(copy);
		return NULL;
	}
	return copy ? memcpy(copy, rom, size) : NULL;
}

/* Return: why it cannot be used, or NULL */
static const char *vmi_rom_use(const struct vmi_rom_header *rom, u32 phys)
{
	u32 size = rom->units * VMI_ROM_UNIT;
	struct vmi_rom_header *copy;
	const char *wrong;

	if (size < sizeof(*rom) || phys + size > VMI_ROM_END)
		return "it does not end where it should";
	copy = vmi_rom_copy(rom);
	if (!copy)
		return "there is no memory for it";
	wrong = vmi_rom_wrong(copy) ?: vmi_rom_bind(copy);
	if (wrong) {
		vmi_rom = (struct vmi_rom) { };
		vfree(copy);
	}
	return wrong;
}

/**
 * vmi_rom_find() - Find the ROM of a VMI hypervisor and fill in vmi_rom
 *
 * A ROM that is not used is logged. The one that is gets told where the local
 * APIC is mapped.
 *
 * Context: boot, may sleep.
 * Return: true if there is one.
 */
bool vmi_rom_find(void)
{
	const struct vmi_rom_header *rom;
	const char *wrong;
	u32 phys;

	for (phys = VMI_ROM_BEGIN; phys < VMI_ROM_END; phys += VMI_ROM_STEP) {
		rom = phys_to_virt(phys);
		if (rom->signature != VMI_ROM_SIGNATURE || memcmp(rom->name, "cVmi", 4))
			continue;
		wrong = vmi_rom_use(rom, phys);
		if (!wrong) {
			vmi_rom.set_linear_mapping(0, APIC_BASE, 1,
						   PHYS_PFN(APIC_DEFAULT_PHYS_BASE));
			return true;
		}
		pr_err("VMI ROM at %#x is not used: %s\n", phys, wrong);
	}
	return false;
}
