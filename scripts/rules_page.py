"""Write docs/rules.md from the rules: ``python scripts/rules_page.py``."""

from __future__ import annotations

from pathlib import Path

from synergyc.legalize.page import rules_page

if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs" / "rules.md").write_text(rules_page(), encoding="utf-8")
