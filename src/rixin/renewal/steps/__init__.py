"""The steps of a Cycle, a file each; `values` is what they leave behind."""
