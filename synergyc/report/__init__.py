"""Reports for people: tables for the terminal, pages for a browser."""
