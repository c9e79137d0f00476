"""Cost model, plan space and selectors: which layers run where."""
