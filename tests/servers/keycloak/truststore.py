"""Writes a Java key store (JKS) with the certificates that this machine trusts: Java does not read a PEM bundle.

Usage: truststore.py KEY_STORE
"""

import hashlib
import ssl
import struct
import sys

PASSWORD = "changeit"  # the one that Java assumes


def text(value):
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded


certificates = ssl.create_default_context().get_ca_certs(binary_form=True)
content = struct.pack(">III", 0xFEEDFEED, 2, len(certificates))
for number, certificate in enumerate(certificates):
    # A trusted certificate (2), its alias, its date, its type and its DER.
    content += struct.pack(">I", 2) + text(f"ca-{number}") + struct.pack(">Q", 0)
    content += text("X.509") + struct.pack(">I", len(certificate)) + certificate
digest = hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + content).digest()
with open(sys.argv[1], "wb") as file:
    file.write(content + digest)
