"""Write the published JSON Schemas: ``make schemas``."""

import json
from pathlib import Path

from synergyc.config.schema import json_schema
from synergyc.manifest import manifest_schema

DOCS = Path(__file__).parent.parent / "docs"

for name, schema in (("manifest-schema.json", manifest_schema()), ("app-schema.json", json_schema())):
    (DOCS / name).write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
