"""Small models of many styles, as users write them: each compiles, or is refused for the right reason."""
