#!/usr/bin/python3
"""The test vector of the vault format, made from docs/SECURITY.md alone.

A second implementation of the format, on libsodium through ctypes, with fixed bytes where the
daemon takes random ones. Prints the vault as hex; tests/unit/state_vault.c holds that text and
opens it, docs/SECURITY.md publishes it.
"""

import ctypes
import struct

sodium = ctypes.CDLL("libsodium.so.23")
assert sodium.sodium_init() >= 0

KEK = bytes(range(0x00, 0x20))
DEK = bytes(range(0x20, 0x40))
SLOT_NONCE = bytes(range(0x40, 0x58))
UUID = bytes(range(0xA0, 0xB0))
TOKEN_SECRET = bytes(range(0x60, 0x80))
GENERATION = 2


def aead(key, nonce, data, text):
    """XChaCha20-Poly1305-IETF; returns ciphertext and tag."""
    out = ctypes.create_string_buffer(len(text) + 16)
    sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        out, None, text, ctypes.c_ulonglong(len(text)), data, ctypes.c_ulonglong(len(data)),
        None, nonce, key)
    return out.raw[:-16], out.raw[-16:]


def subkey(number):
    out = ctypes.create_string_buffer(32)
    sodium.crypto_kdf_derive_from_key(out, ctypes.c_size_t(32), ctypes.c_uint64(number),
                                      b"aictlvlt", DEK)
    return out.raw


def keyed_blake2b(key, text):
    out = ctypes.create_string_buffer(32)
    sodium.crypto_generichash(out, ctypes.c_size_t(32), text, ctypes.c_ulonglong(len(text)), key,
                              ctypes.c_size_t(len(key)))
    return out.raw


def counted(text):
    return struct.pack("<H", len(text)) + text


def slot():
    bound = struct.pack("<I16sQQ", 1, bytes(16), 0, 0)
    wrapped, tag = aead(KEK, SLOT_NONCE, b"aictl-vault-slot-1" + UUID + bound, DEK)
    return bound + SLOT_NONCE + wrapped + tag


def record(name, revision, created, origins, nonce, key):
    """Returns the record's row of the index and its body."""
    clear = struct.pack("<qH", created, len(origins)) + b"".join(map(counted, origins))
    data = b"aictl-vault-record-1" + UUID + counted(name) + struct.pack("<Q", revision) + clear
    ciphertext, tag = aead(subkey(1), nonce, data, key)
    body = clear + nonce + ciphertext
    return counted(name) + struct.pack("<Q16sI", revision, tag, len(body)), body


def vault():
    records = [
        record(b".tokens", 1, 0, [], bytes(range(0xC0, 0xD8)), TOKEN_SECRET),
        record(b"deepseek", 1, 1767225600, [b"https://api.deepseek.com:443"],
               bytes(range(0xE0, 0xF8)), b"sk-test-0123456789abcdef"),
    ]
    header = b"AICTLVLT" + struct.pack("<III16sQ", 1, 1, len(records), UUID, GENERATION)
    sealed = header + slot() + b"".join(row for row, _ in records)
    return sealed + keyed_blake2b(subkey(2), sealed) + b"".join(body for _, body in records)


if __name__ == "__main__":
    text = vault().hex()
    for start in range(0, len(text), 64):
        print(text[start:start + 64])
