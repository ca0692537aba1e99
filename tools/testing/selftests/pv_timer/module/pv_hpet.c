// SPDX-License-Identifier: GPL-2.0
/*
 * A backend that is a module: channel 2 of the HPET that hypervisors emulate, on a guest
 * with one CPU
 *
 * It ticks if the kernel is booted with pv_timer=hpet, and stays until the next boot then.
 * Linux itself uses channels 0 and 1, and leaves channel 2 to /dev/hpet, which nobody may
 * have open. No clock reads this counter, so each deadline takes two clock reads.
 */
#include <linux/acpi.h>
#include <linux/bitops.h>
#include <linux/io.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/pv_timer.h>

#include <asm/hpet.h>

#define FEMTOSEC_PER_SEC	1000000000000000ULL

/* Not a line of ISA: Linux has others on these */
#define HPET_LINES		GENMASK(31, 16)

static void __iomem *hpet_base;
static unsigned int hpet_line;
static bool hpet_has_line;

static u32 hpet_read(unsigned int reg)
{
	return readl(hpet_base + reg);
}

static void hpet_write(u32 value, unsigned int reg)
{
	writel(value, hpet_base + reg);
}

static phys_addr_t hpet_find(void)
{
	struct acpi_table_header *table;
	phys_addr_t address;

	if (ACPI_FAILURE(acpi_get_table(ACPI_SIG_HPET, 0, &table)))
		return 0;
	address = ((struct acpi_table_hpet *)table)->address.address;
	acpi_put_table(table);
	return address;
}

/* Return: the lines that the channel can raise; none if it is not there or does not count */
static u32 hpet_lines(void)
{
	u32 id = hpet_read(HPET_ID);

	if (!(id & HPET_ID_64BIT) || (id & HPET_ID_NUMBER) >> HPET_ID_NUMBER_SHIFT < 2 ||
	    !(hpet_read(HPET_CFG) & HPET_CFG_ENABLE) ||
	    !(hpet_read(HPET_T2_CFG) & HPET_TN_64BIT_CAP))
		return 0;
	return hpet_read(HPET_T2_CFG + 4) & HPET_LINES;
}

static u64 hpet_probe(void)
{
	phys_addr_t address = hpet_find();

	hpet_base = address ? ioremap(address, HPET_MMAP_SIZE) : NULL;
	if (!hpet_base || !hpet_lines())
		return 0;
	hpet_line = __fls(hpet_lines());
	return div_u64(FEMTOSEC_PER_SEC, hpet_read(HPET_PERIOD));
}

/* Hypervisors read it by halves */
static u64 hpet_now(void)
{
	u32 high, low;

	do {
		high = hpet_read(HPET_COUNTER + 4);
		low = hpet_read(HPET_COUNTER);
	} while (hpet_read(HPET_COUNTER + 4) != high);
	return (u64)high << 32 | low;
}

static void hpet_disarm(void)
{
	hpet_write(0, HPET_T2_CFG);
}

/* They write it by halves, of which one alone would be another deadline */
static int hpet_arm(u64 deadline)
{
	hpet_disarm();
	hpet_write(upper_32_bits(deadline), HPET_T2_CMP + 4);
	hpet_write(lower_32_bits(deadline), HPET_T2_CMP);
	hpet_write(hpet_line << HPET_TN_ROUTE_SHIFT | HPET_TN_ENABLE, HPET_T2_CFG);
	return 0;
}

static int hpet_irq(void)
{
	hpet_has_line = true;
	return acpi_register_gsi(NULL, hpet_line, ACPI_EDGE_SENSITIVE, ACPI_ACTIVE_HIGH);
}

static const struct pv_timer_backend hpet_timer = {
	.name	= "hpet",
	.rating	= PV_TIMER_RATING_EMULATED,
	.flags	= PV_TIMER_EXACT | PV_TIMER_GLOBAL | PV_TIMER_NOFAIL,
	.owner	= THIS_MODULE,
	.probe	= hpet_probe,
	.now	= hpet_now,
	.arm	= hpet_arm,
	.disarm	= hpet_disarm,
	.irq	= hpet_irq,
};

static void hpet_release(void)
{
	if (hpet_has_line)
		acpi_unregister_gsi(hpet_line);
	if (hpet_base)
		iounmap(hpet_base);
}

static int __init hpet_timer_init(void)
{
	int err = pv_timer_register(&hpet_timer);

	if (err)
		hpet_release();
	return err;
}
module_init(hpet_timer_init);

/* Does not come while the backend ticks, as the core holds the module */
static void __exit hpet_timer_exit(void)
{
	pv_timer_unregister(&hpet_timer);
	hpet_release();
}
module_exit(hpet_timer_exit);

MODULE_DESCRIPTION("HPET as a paravirtual timer");
MODULE_LICENSE("GPL");
