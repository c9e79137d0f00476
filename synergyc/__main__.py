"""``python -m synergyc``."""

from synergyc.cli.main import main

if __name__ == "__main__":
    main()
