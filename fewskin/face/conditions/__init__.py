"""Skin conditions of the face, one a file; the file's name is its key.

A file has `USUAL`, the features that a single severity stands for, and `parts`, which draws all
features of one person on a canvas. Nothing else is needed: `face.condition` finds the file.
"""
