"""Serves Keystone's public API with waitress, with keystone.conf of the working directory, at the address that is its argument."""

import os
import sys

import waitress
from keystone.server import wsgi

# Keystone would take it for an option of its own.
address = sys.argv.pop()
os.environ["OS_KEYSTONE_CONFIG_FILES"] = "keystone.conf"
application = wsgi.initialize_public_application()
waitress.serve(application, listen=address, threads=8)
