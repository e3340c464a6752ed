"""The home's side of a question asked of many: templates, counting, and the answer."""
