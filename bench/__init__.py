"""Import runs measured side by side with core's own batch import."""
