"""A stand-in for the published checkpoint: generated textures, scenes of them, and a VGG-16 that tells them apart."""
