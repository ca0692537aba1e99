#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Make a ROM of flat code, and those that no guest may run.

Usage: mkrom.py FLAT DIRECTORY

A BIOS takes no ROM with a wrong checksum or length. So those are right until the BIOS
has called the ROM, which then breaks itself.
"""

import os
import sys

# Offsets in the ROM
LENGTH, CHECKSUM, API_MAJOR, RELOCATION, BIOS_INIT, LICENCE, PCI = 2, 7, 13, 136, 144, 160, 164


def store(offset, value):
    """Code for the BIOS: mov byte %cs:offset, value; lret"""
    return b"\x2e\xc6\x06" + offset.to_bytes(2, "little") + bytes([value, 0xcb])


def answer(address, kind):
    """Code that tells the guest where a call is, and what kind of a relocation it needs"""
    return b"\xb8" + address.to_bytes(4, "little") + bytes([0xb2, kind, 0xc3])


# What is put where. The one that is cut off has lost its data.
ROMS = {
    "vmi": (0, b""),
    "checksum": (BIOS_INIT, store(CHECKSUM - 1, 0x5a)),
    "truncated": (BIOS_INIT, store(LENGTH, 8)),
    "empty": (BIOS_INIT, store(LENGTH, 0)),
    "version": (API_MAJOR, b"\x02"),
    "licence": (LICENCE, b"BSD"),
    "pci": (PCI, b"ISAR"),
    "call": (RELOCATION, answer(0, 0)),
    "entry": (RELOCATION, answer(0x1000, 1)),
}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        flat = file.read()
    for name, (offset, patch) in ROMS.items():
        rom = bytearray(flat)
        rom[offset:offset + len(patch)] = patch
        rom[CHECKSUM] = -sum(rom) & 0xff
        with open(os.path.join(sys.argv[2], f"{name}.rom"), "wb") as file:
            file.write(rom)


if __name__ == "__main__":
    main()
