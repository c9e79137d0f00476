"""``python -m synergyc.config > docs/app-schema.json``: print the JSON Schema of app files."""

import json
import sys

from synergyc.config.schema import json_schema

sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
