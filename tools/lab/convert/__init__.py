"""Conversion of published and trained networks to `.tflite`, and the recipes that repeat it."""
